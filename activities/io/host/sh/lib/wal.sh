#!/bin/sh
# A node's WAL, read by pg_waldump, the only reader of records. Needs WAL, the directory, and BIN.
# A stretch of WAL is RANGES: lines of TIMELINE FROM TO, oldest first, "-" for the open end of the last.

. lib/answer.sh
. lib/paths.sh
. lib/record-end.sh

export LC_ALL=C TZ=UTC0
NL='
'
segment_names() { names_in "$WAL" | grep -Ex '[0-9A-F]{24}(\.partial)?' | sort; }

# segments_from BYTE: lines "FIRST-BYTE NAME" of the segments of RANGES that hold a byte from there on. A segment that was only set
# up for later use still has an older address in its first page, or none (xlp_pageaddr, at byte 8).
segments_from() {
  segment_names | while read -r NAME; do
    REST=${NAME#????????}
    TIMELINE=$((0x${NAME%"$REST"})) REST=${REST%.partial}
    AT=$(((0x${REST%????????} * (0x100000000 / SIZE) + 0x${REST#????????}) * SIZE))
    case $NL$RANGES in *"$NL$TIMELINE "*) [ $((AT + SIZE)) -le "$1" ] || echo "$AT $NAME" ;; esac
  done | sort -n | while read -r AT NAME; do
    [ "$(od -An -tx8 -j8 -N8 "$WAL/$NAME" | tr -d ' ')" != "$(printf '%016x' "$AT")" ] || echo "$AT $NAME"
  done
}

# Sets START to the first byte of RANGES that is still here; empty when there is none.
find_start() {
  SIZE=$(wc -c <"$WAL/$(segment_names | tail -n 1)")
  FROM=${RANGES#* }
  START=$(bytes_of "${FROM%% *}")
  FIRST=$(segments_from "$START" | { read -r AT _ && echo "$AT"; }) || {
    START=
    return
  }
  [ "$FIRST" -le "$START" ] || START=$FIRST
}

# each_range FUNCTION: calls it for each range, from START on, with TIMELINE, FROM and TO set.
each_range() {
  while read -r TIMELINE FROM TO; do
    [ "$TO" = - ] || [ "$(bytes_of "$TO")" -gt "$START" ] || continue
    [ "$(bytes_of "$FROM")" -ge "$START" ] || FROM=$(lsn_of "$START")
    "$1"
  done <<RANGES
$RANGES
RANGES
}

# dump DIRECTORY [OPTIONS]: the records of the range at hand.
dump() {
  [ "$TO" = - ] || set -- "$@" -e "$TO"
  "$BIN/pg_waldump" -t "$TIMELINE" -s "$FROM" -p "$@" </dev/null
}
