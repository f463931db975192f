#!/bin/sh
# Looks at a node's own WAL. Arguments: DATA BIN SET MARK-FILE. Prints KEY=value lines: what the set's report says, as report_KEY;
# what the data directory says of itself; and, unless seen= says why there is no WAL to speak of, where it is and how its branch
# came about.

. lib/paths.sh
. lib/processes.sh
. lib/data-facts.sh
. lib/wal.sh

DATA=$1 BIN=$2 SET=$(home_path "$3") MARK_FILE=$4
end_with() {
  echo "seen=$1"
  done_
}
echo "set=$SET"
[ ! -e "$SET/report" ] || sed 's/^/report_/' "$SET/report"
REAL=$(cd "$DATA" 2>/dev/null && pwd -P) || end_with "there is no data directory at $DATA"
[ ! -e "$REAL/$MARK_FILE" ] || echo "rebuild=$(cat "$REAL/$MARK_FILE")"
[ ! -e "$REAL/backup_label" ] || echo "backup_label=yes"
[ ! -e "$REAL/standby.signal" ] || echo "standby_signal=yes"
read_mark "$REAL"
echo "fence_mark=$MARK"
control_file
WAL=$(cd "$REAL/pg_wal" 2>/dev/null && pwd -P) || end_with "$REAL/pg_wal cannot be entered"
NEWEST=$(segment_names | grep -v partial | tail -n 1)
[ -n "$NEWEST" ] || end_with "there is no WAL in $WAL"
[ -r "$WAL/$NEWEST" ] || end_with "$WAL may not be read by $(id -un)"
WHY=$("$BIN/pg_waldump" --version 2>&1) || wrong "pg_waldump cannot be run (postgres.bin): $WHY"
NEWEST=${NEWEST%????????????????}
echo "wal=$WAL"
echo "wal_timeline=$((0x$NEWEST))"
sed 's/^/history=/' "$WAL/$NEWEST.history" 2>/dev/null
done_
