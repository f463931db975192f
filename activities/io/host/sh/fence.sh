#!/bin/sh
# Makes a node unable to accept writes. Arguments: LOCK ISSUED DEADLINE ACTOR DATA BIN STOP(shell text)
# ALWAYS(yes|no: run STOP although nothing runs) MARK. Prints what look.sh does of a node that is down, and how=: how its processes
# were ended. Fails where the fence is not proven; names= may be known all the same.

. lib/act.sh
. lib/processes.sh
. lib/data-facts.sh
. lib/standby-facts.sh
. lib/ending.sh

DATA=$1 BIN=$2 STOP=$3 ALWAYS=$4 NEW_MARK=$5
stop_service() {
  export BIN DATA
  quietly 3 sh -c "$STOP"
}
REAL=$(cd "$DATA" 2>/dev/null && pwd -P) || fail "no data directory at $DATA"
if [ ! -O "$REAL" ] && [ "$(id -u)" != 0 ]; then fail "$DATA belongs to another user than $(id -un)"; fi
# A look that takes a while and needs nothing else runs in the background, without the lock. Each such part prints whole lines at once.
names 2 9>&- &
read_processes "$REAL"
HOW=already-stopped
if [ "$PIDS" = unreadable ]; then
  [ "$ALWAYS" = no ] || {
    stop_service
    HOW=stop
    read_processes "$REAL"
  }
  [ "$PIDS" != unreadable ] || fail "$UNREADABLE"
fi
if postmaster_runs; then
  HOW=stop
  stop_service
  await_none 1 || {
    HOW=immediate
    quietly 3 "$BIN/pg_ctl" -D "$REAL" -m immediate -t 2 stop
  }
  await_none 1 || {
    HOW=killed
    end
  }
elif [ -n "$PIDS" ]; then
  HOW=orphans-killed
  end
elif [ "$ALWAYS" = yes ]; then
  stop_service
fi
# If anything starts this node again, it must come up read-only. The signal is written before the last look: what starts in
# between has either read it or is seen. A node that was once up beside its successor stays marked so.
read_mark "$REAL"
[ "$MARK" = after-return ] || MARK=$NEW_MARK
echo "$MARK" >"$REAL/standby.signal" || fail "cannot write standby.signal"
[ -O "$REAL" ] || chown --reference="$REAL" "$REAL/standby.signal"
# The names may have changed until the server was stopped; the last line counts.
[ "$HOW" = already-stopped ] || {
  wait
  names 2 9>&- &
}
[ -z "$(postgres_processes "$REAL")" ] || {
  HOW=killed
  end
} || fail_left "processes survive SIGKILL"
{ sync "$REAL/standby.signal" || echo "unsynced=yes"; } 9>&- &
control_file
wait
wal_timeline
echo "how=$HOW"
echo "processes=none"
echo "standby_signal=yes"
echo "fence_mark=$MARK"
data_directory "$REAL"
done_
