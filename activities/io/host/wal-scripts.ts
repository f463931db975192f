// Shell that looks at a node's WAL, and saves what only that node holds. pg_waldump is the only reader of records.
// A stretch of WAL is given as RANGES: lines of TIMELINE FROM TO, oldest first, "-" for the open end of the last.

import { homePathFunction, processFunctions } from './scripts';

/** `end_of LSN BYTES SWITCH(yes|no)` sets END to the byte after that record, given SIZE of a segment. */
// A page header stands at the top of each page that it enters, a longer one at that of a segment; records begin at multiples
// of 8; SWITCH fills up its segment (PostgreSQL documentation, 30.6 WAL Internals; access/transam; pages of 8 kB).
export const recordEndFunctions = `
bytes_of() { echo $(( (0x\${1%/*} << 32) + 0x\${1#*/} )); }
lsn_of() { printf '%X/%X' $(( $1 >> 32 )) $(( $1 & 0xffffffff )); }
end_of() { AT=$(bytes_of "$1") LEFT=$2
  while ROOM=$((8192 - AT % 8192)); [ "$LEFT" -gt "$ROOM" ]; do
    LEFT=$((LEFT - ROOM)) AT=$((AT + ROOM)); AT=$((AT + (AT % SIZE ? 24 : 40)))
  done
  END=$(( (AT + LEFT + 7) / 8 * 8 ))
  [ "$3" = no ] || END=$(( (END + SIZE - 1) / SIZE * SIZE ))
}
`;

const walFunctions = `
${recordEndFunctions}
export LC_ALL=C TZ=UTC0
NL='
'
segment_names() { ls "$WAL" | grep -Ex '[0-9A-F]{24}(\\.partial)?'; }
# Lines "FIRST-BYTE NAME" of the segments of RANGES that hold a byte from $1 on. One that was only set up for later use still
# has an older address in its first page, or none (xlp_pageaddr, at byte 8).
segments_from() {
  segment_names | while read -r NAME; do
    REST=\${NAME#????????}; TIMELINE=$((0x\${NAME%"$REST"})) REST=\${REST%.partial}
    AT=$(( (0x\${REST%????????} * (0x100000000 / SIZE) + 0x\${REST#????????}) * SIZE ))
    case $NL$RANGES in *"$NL$TIMELINE "*) [ $((AT + SIZE)) -le "$1" ] || echo "$AT $NAME";; esac
  done | sort -n | while read -r AT NAME; do
    [ "$(od -An -tx8 -j8 -N8 "$WAL/$NAME" | tr -d ' ')" != "$(printf '%016x' "$AT")" ] || echo "$AT $NAME"
  done
}
# Sets START to the first byte of RANGES that is still here; empty when there is none.
find_start() {
  SIZE=$(wc -c <"$WAL/$(segment_names | tail -n 1)")
  START=$(bytes_of "$(echo "$RANGES" | { read -r TIMELINE FROM TO; echo "$FROM"; })")
  FIRST=$(segments_from "$START" | { read -r AT NAME && echo "$AT"; }) || { START=; return; }
  [ "$FIRST" -le "$START" ] || START=$FIRST
}
# Runs $1 for each range, from START on, with TIMELINE, FROM and TO set.
each_range() {
  while read -r TIMELINE FROM TO; do
    [ "$TO" = - ] || [ "$(bytes_of "$TO")" -gt "$START" ] || continue
    [ "$(bytes_of "$FROM")" -ge "$START" ] || FROM=$(lsn_of "$START")
    "$1"
  done <<RANGES
$RANGES
RANGES
}
# Arguments: DIRECTORY, then more options.
dump() { [ "$TO" = - ] || set -- "$@" -e "$TO"; "$BIN/pg_waldump" -t "$TIMELINE" -s "$FROM" -p "$@" </dev/null; }
`;

/**
 * Arguments: DATA BIN SET MARK-FILE. Prints KEY=value lines: what the set's report says, as report_KEY; what the data
 * directory says of itself; and, unless `seen` says why there is no WAL to speak of, where it is and how its branch came about.
 */
export const lookAtWalScript = `
${homePathFunction}
DATA=$1 BIN=$2 SET=$(home_path "$3") MARK_FILE=$4
${processFunctions}
${walFunctions}
echo "set=$SET"
[ ! -e "$SET/report" ] || sed 's/^/report_/' "$SET/report"
REAL=$(cd "$DATA" 2>/dev/null && pwd -P) || { echo "seen=there is no data directory at $DATA"; exit 0; }
[ ! -e "$REAL/$MARK_FILE" ] || echo "rebuild=$(cat "$REAL/$MARK_FILE")"
[ ! -e "$REAL/backup_label" ] || echo "backup_label=yes"
[ ! -e "$REAL/standby.signal" ] || echo "standby_signal=yes"
read_mark "$REAL"; echo "fence_mark=$MARK"
control_file
WAL=$(cd "$REAL/pg_wal" 2>/dev/null && pwd -P) || { echo "seen=$REAL/pg_wal cannot be entered"; exit 0; }
NEWEST=$(segment_names | grep -v partial | tail -n 1)
[ -n "$NEWEST" ] || { echo "seen=there is no WAL in $WAL"; exit 0; }
[ -r "$WAL/$NEWEST" ] || { echo "seen=$WAL may not be read by $(id -un)"; exit 0; }
"$BIN/pg_waldump" --version >/dev/null || exit 3
NEWEST=\${NEWEST%????????????????}
echo "wal=$WAL"; echo "wal_timeline=$((0x$NEWEST))"
sed 's/^/history=/' "$WAL/$NEWEST.history" 2>/dev/null
exit 0
`;

/** Arguments: WAL BIN RANGES. Prints start=LSN where any of that WAL begins, and record=yes when there is a record in it. Exit 4: cannot tell. */
export const findRecordScript = `
WAL=$1 BIN=$2 RANGES=$3
${walFunctions}
# Only these words say that there is none: a reader that failed has proven nothing.
has_record() {
  SAID=$(dump "$WAL" -n 1 2>&1)
  case $SAID in *rmgr:*) RECORD=yes;; *"could not find a valid record"*|*"could not find file"*) ;; *) echo "pg_waldump said: $SAID" >&2; exit 4;; esac
}
RECORD=no; find_start
[ -z "$START" ] || { each_range has_record; echo "start=$(lsn_of "$START")"; }
echo "record=$RECORD"
`;

/**
 * A job. Arguments: WAL BIN SET RANGES KNOWN(lines of the report) KEEP(yes|no: the set that is there is of data that was replaced).
 * Copies the segments and all histories, reads the copy with pg_waldump, writes the report into it and puts the set in place;
 * then removes all but the five newest sets.
 */
export const saveWalScript = `
WAL=$1 BIN=$2 SET=$3 RANGES=$4 KNOWN=$5 KEEP=$6
${walFunctions}
umask 077
NEW=$SET.tmp SETS=\${SET%/*}/diverged-wal-
fail() { rm -rf "$NEW"; echo "$*"; exit 3; }
read_range() {
  set -- $(dump "$NEW" 2>"$NEW/ended" | awk '
    /^rmgr:/ { record = $0; isSwitch = / desc: SWITCH/ ? "yes" : "no"
      if ($2 == "Transaction" && match($0, / desc: COMMIT(_PREPARED [0-9]+:)? /)) { commits++; time = substr($0, RSTART + RLENGTH) } }
    END { print commits + 0; if (!record) exit
      sub(/.*\\(rec\\/tot\\): *[0-9]+\\/ */, "", record); bytes = record + 0
      sub(/^[^:]*: *[0-9]+, lsn: /, "", record); sub(/,.*/, "", record)
      split(time, part, " "); print record, bytes, isSwitch, time ? part[1] "T" substr(part[2], 1, 12) "Z" : "" }')
  # Only the last range may end where its WAL does.
  [ "$TO" = - ] || [ ! -s "$NEW/ended" ] || IS_COUNTED=no
  COMMITS=$((COMMITS + \${1:-0}))
  [ -z "\${2:-}" ] || end_of "$2" "$3" "$4"
  LAST=\${5:-$LAST}
}
find_start
[ -n "$START" ] || fail "there is no WAL from $RANGES on in $WAL"
mkdir -p "\${SET%/*}" && rm -rf "$SETS"*.tmp && mkdir "$NEW" || fail "cannot make $NEW"
segments_from "$START" >"$NEW/segments" || fail "cannot write into $NEW"
TOTAL=$(wc -l <"$NEW/segments") DONE=0
while read -r AT NAME; do
  cp -p "$WAL/$NAME" "$NEW/" || fail "cannot copy $WAL/$NAME"
  DONE=$((DONE + 1)); echo "$DONE of $TOTAL WAL files are copied"
done <"$NEW/segments"
for FILE in "$WAL"/*.history; do [ ! -e "$FILE" ] || cp -p "$FILE" "$NEW/" || fail "cannot copy $FILE"; done
END=$START COMMITS=0 LAST= IS_COUNTED=yes
each_range read_range
[ "$END" -gt "$START" ] || fail "pg_waldump cannot read the copy: $(cat "$NEW/ended")"
[ "$IS_COUNTED" = yes ] || COMMITS=
{ echo "$KNOWN"; echo "from=$(lsn_of "$START")"; echo "to=$(lsn_of "$END")"; echo "bytes=$((END - START))"
  echo "commits=$COMMITS"; echo "last_commit=$LAST"; echo "ended=$(cat "$NEW/ended")"; } >"$NEW/report" || fail "cannot write $NEW/report"
rm -f "$NEW/ended" "$NEW/segments"
find "$NEW" -exec sync {} +
[ "$KEEP" = no ] || mv -T "$SET" "$SET.$(date +%Y%m%dT%H%M%SZ)" || fail "cannot rename $SET"
rm -rf "$SET"; mv -T "$NEW" "$SET" || fail "cannot put $SET in place"
sync "\${SET%/*}"
ls -d "$SETS"*Z-???????? | grep -vxF "$SET" | sort -r | tail -n +5 | while read -r OLD; do rm -rf "$OLD"; done
exit 0
`;
