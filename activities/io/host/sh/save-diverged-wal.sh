#!/bin/sh
# A job: saves WAL that only this node holds, and keeps the five newest sets. Arguments: WAL BIN SET RANGES KNOWN(lines of the report)
# KEEP(yes|no: the set that is there is of data that was replaced). Copies the segments and all histories, reads the copy with
# pg_waldump, writes the report into it and puts the set in place. Prints progress= on the way.

. lib/wal.sh

WAL=$1 BIN=$2 SET=$3 RANGES=$4 KNOWN=$5 KEEP=$6
umask 077
NEW=$SET.tmp SETS=${SET%/*}/diverged-wal-
give_up() {
  rm -rf "$NEW"
  fail "$1"
}
# On one line: commits and, when there is a record, the last one's LSN, its bytes, whether it is a SWITCH, and the last commit's time.
summarize() {
  awk '
    /^rmgr:/ {
      record = $0; isSwitch = / desc: SWITCH/ ? "yes" : "no"
      if ($2 == "Transaction" && match($0, / desc: COMMIT(_PREPARED [0-9]+:)? /)) { commits++; time = substr($0, RSTART + RLENGTH) }
    }
    END {
      printf "%d", commits
      if (!record) exit
      sub(/.*\(rec\/tot\): *[0-9]+\/ */, "", record); bytes = record + 0
      sub(/^[^:]*: *[0-9]+, lsn: /, "", record); sub(/,.*/, "", record)
      split(time, part, " ")
      printf " %s %s %s %s", record, bytes, isSwitch, time ? part[1] "T" substr(part[2], 1, 12) "Z" : ""
    }'
}
read_range() {
  FOUND=$(dump "$NEW" 2>"$NEW/ended" | summarize)
  read -r COUNT RECORD BYTES SWITCH TIME <<FOUND
$FOUND
FOUND
  # Only the last range may end where its WAL does.
  [ "$TO" = - ] || [ ! -s "$NEW/ended" ] || IS_COUNTED=no
  COMMITS=$((COMMITS + ${COUNT:-0}))
  [ -z "$RECORD" ] || end_of "$RECORD" "$BYTES" "$SWITCH"
  LAST=${TIME:-$LAST}
}
find_start
[ -n "$START" ] || give_up "there is no WAL from $RANGES on in $WAL"
{ mkdir -p "${SET%/*}" && rm -rf "$SETS"*.tmp && mkdir "$NEW"; } || give_up "cannot make $NEW"
segments_from "$START" >"$NEW/segments" || give_up "cannot write into $NEW"
TOTAL=$(wc -l <"$NEW/segments") DONE=0
while read -r _ NAME; do
  cp -p "$WAL/$NAME" "$NEW/" || give_up "cannot copy $WAL/$NAME"
  DONE=$((DONE + 1))
  echo "progress=$DONE of $TOTAL WAL files are copied"
done <"$NEW/segments"
for FILE in "$WAL"/*.history; do [ ! -e "$FILE" ] || cp -p "$FILE" "$NEW/" || give_up "cannot copy $FILE"; done
END=$START COMMITS=0 LAST='' IS_COUNTED=yes
each_range read_range
[ "$END" -gt "$START" ] || give_up "pg_waldump cannot read the copy: $(cat "$NEW/ended")"
[ "$IS_COUNTED" = yes ] || COMMITS=
{
  echo "$KNOWN"
  echo "from=$(lsn_of "$START")"
  echo "to=$(lsn_of "$END")"
  echo "bytes=$((END - START))"
  echo "commits=$COMMITS"
  echo "last_commit=$LAST"
  echo "ended=$(cat "$NEW/ended")"
} >"$NEW/report" || give_up "cannot write $NEW/report"
rm -f "$NEW/ended" "$NEW/segments"
find "$NEW" -exec sync {} +
[ "$KEEP" = no ] || mv -T "$SET" "$SET.$(date +%Y%m%dT%H%M%SZ)" || give_up "cannot rename $SET"
rm -rf "$SET"
mv -T "$NEW" "$SET" || give_up "cannot put $SET in place"
sync "${SET%/*}"
printf '%s\n' "$SETS"*Z-???????? | grep -vxF "$SET" | sort -r | tail -n +5 | while read -r OLD; do rm -rf "$OLD"; done || true
done_
