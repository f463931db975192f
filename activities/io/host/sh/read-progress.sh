#!/bin/sh
# Shows what a server in recovery does, by its processes. Arguments: DATA. Prints KEY=value lines; startup= is missing without a
# startup process.

. lib/answer.sh
. lib/processes.sh

DATA=$1
export LC_ALL=C
REAL=$(cd "$DATA" && pwd -P) || fail "no data directory at $DATA"
for PID in $(postgres_processes "$REAL"); do
  TITLE=$(tr '\0' ' ' <"/proc/$PID/cmdline" 2>/dev/null)
  case $TITLE in
    *" startup"*)
      echo "startup=startup${TITLE#* startup}"
      awk '{ printf "ticks=%d\n", $14 + $15 }' "/proc/$PID/stat"
      awk '/^(read|write)_bytes/ { sum += $2 } END { printf "disk=%d\n", sum / 1048576 }' "/proc/$PID/io"
      SEGMENT=$(expr "$TITLE" : '.*recovering \([0-9A-F]*\)') && stat -c 'size=%s' "$REAL/pg_wal/$SEGMENT" 2>/dev/null
      ;;
    *" walreceiver"*) echo "receiver=walreceiver${TITLE#* walreceiver}" ;;
  esac
done
echo "hertz=$(getconf CLK_TCK)"
done_
