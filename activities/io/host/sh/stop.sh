#!/bin/sh
# Stops PostgreSQL. Arguments: LOCK ISSUED DEADLINE ACTOR DATA BIN STOP(shell text) IS_SERVICE(yes|no) WAS_STANDBY(yes|no: it was in
# recovery when it was asked). Prints how=; refuses where it was promoted in the meantime, and fails where processes are left or may not
# be looked at. Prints only when all is done: a script whose worker has died must not end at an echo.

. lib/act.sh
. lib/processes.sh
. lib/data-facts.sh
. lib/ending.sh

DATA=$1 BIN=$2 STOP=$3 IS_SERVICE=$4 WAS_STANDBY=$5
HOW=already-stopped
if REAL=$(cd "$DATA" 2>/dev/null && pwd -P); then
  if [ ! -O "$REAL" ] && [ "$(id -u)" != 0 ]; then fail "$DATA belongs to another user than $(id -un)"; fi
elif [ -e "$DATA" ]; then
  fail "$DATA cannot be entered by $(id -un)"
else
  # A process may still work in a directory that has been removed.
  REAL=$(readlink -f "$DATA" || echo "$DATA")
  HOW=absent
fi
read_processes "$REAL"
if [ "$WAS_STANDBY" = yes ] && postmaster_runs && control_file | grep -qx "state=in production"; then
  refuse "it was promoted a moment ago"
fi
if [ "$IS_SERVICE" = yes ] && [ "$HOW" != absent ]; then
  # Also when nothing runs: the manager may be about to start it again.
  export BIN DATA
  quietly 10 sh -c "$STOP"
  [ -z "$PIDS" ] || HOW=stop
fi
if [ -n "$PIDS" ] && { [ "$IS_SERVICE" = no ] || ! await_none 1; }; then
  if postmaster_runs; then
    # A server ends its processes by SIGKILL itself, 5 s after an immediate stop (postmaster.c, SIGKILL_CHILDREN_AFTER_SECS).
    HOW=immediate
    quietly 7 "$BIN/pg_ctl" -D "$REAL" -m immediate -t 6 stop
  else
    HOW=orphans-killed
    end
  fi
fi
await_none 1 || {
  HOW=killed
  # Twice: the first one ends whatever could start more.
  end || end
} || fail_left "these survive SIGKILL: $(on_one_line "$(postgres_processes "$REAL")")"
echo "how=$HOW"
done_
