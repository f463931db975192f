#!/bin/sh
# Is there a whole record in a stretch of WAL? Arguments: WAL BIN RANGES.
# Prints start=LSN where any of that WAL begins, and record=yes when there is a record in it.

. lib/wal.sh

WAL=$1 BIN=$2 RANGES=$3
# Only these words say that there is none: a reader that failed has proven nothing.
has_record() {
  SAID=$(dump "$WAL" -n 1 2>&1)
  case $SAID in
    *rmgr:*) RECORD=yes ;;
    *"could not find a valid record"* | *"could not find file"*) ;;
    *) fail "pg_waldump said: $SAID" ;;
  esac
}
RECORD=no
find_start
[ -z "$START" ] || {
  each_range has_record
  echo "start=$(lsn_of "$START")"
}
echo "record=$RECORD"
done_
