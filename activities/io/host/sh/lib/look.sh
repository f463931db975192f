#!/bin/sh
# look DATA BIN: prints KEY=value lines about the node's processes and files; host-facts.ts reads them. Changes nothing.

. lib/processes.sh
. lib/data-facts.sh
. lib/standby-facts.sh

look() {
  DATA=$1 BIN=$2
  echo "clock=$(date +%s%3N)"
  REAL=$(cd "$DATA" 2>/dev/null && pwd -P) || {
    data_directory "$DATA"
    echo "processes=unknown"
    echo "seen=no data directory at $DATA"
    return
  }
  # Other users' processes cannot be looked into: without ownership "none" would prove nothing.
  if [ ! -O "$REAL" ] && [ "$(id -u)" != 0 ]; then
    echo "processes=unknown"
    echo "seen=$DATA belongs to another user than $(id -un)"
    return
  fi
  if [ ! -x "$BIN/pg_controldata" ] || [ ! -x "$BIN/pg_ctl" ]; then
    echo "seen=pg_controldata or pg_ctl cannot be run in $BIN: correct postgres.bin"
  fi
  # In the background: the names take as long as all the rest together, and on a host that is short of memory longer than the look may.
  names 0.6 &
  read_processes "$REAL"
  if [ -z "$PIDS" ]; then
    echo "processes=none"
  elif [ "$PIDS" = unreadable ]; then
    echo "processes=unknown"
    echo "seen=$UNREADABLE"
  elif postmaster_runs; then
    echo "processes=running"
  else
    echo "processes=orphans"
  fi
  if [ -e "$REAL/standby.signal" ]; then echo "standby_signal=yes"; else echo "standby_signal=no"; fi
  read_mark "$REAL"
  echo "fence_mark=$MARK"
  data_directory "$REAL"
  wal_timeline
  if [ -z "$PIDS" ]; then control_file; elif [ -e "$REAL/standby.signal" ]; then needed_settings; fi
  wait
}
