#!/bin/sh
# Ends the processes that work in $REAL, and waits until none is left.

. lib/answer.sh
. lib/processes.sh

# await_none COUNT: that many times 50 ms.
await_none() {
  n=0
  while [ -n "$(postgres_processes "$REAL")" ]; do
    n=$((n + 1))
    [ "$n" -gt "$1" ] && return 1
    sleep 0.05
  done
}
# SIGKILL for all.
end() {
  PIDS=$(postgres_processes "$REAL")
  [ "$PIDS" != unreadable ] || return 1
  for pid in $PIDS; do kill -KILL "$pid" 2>/dev/null; done
  await_none 40
}
# fail_left SENTENCE: some are left, or whether some are cannot be seen.
fail_left() { case "$(postgres_processes "$REAL")" in unreadable) fail "$UNREADABLE" ;; *) fail "$1" ;; esac }
# quietly SECONDS COMMAND. Descriptor 9 is the lock: nothing that outlives this script may keep it.
quietly() { timeout -k 1 "$@" </dev/null >/dev/null 2>&1 9>&-; }
