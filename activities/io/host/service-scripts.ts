// Shell that stops and starts PostgreSQL on a node. Each opens with actPreamble, and prints KEY=value lines only when all is done:
// a script whose worker has died must not end at an echo.

import { actPreamble, configFunction, endFunctions, homePathFunction, processFunctions } from './scripts';

/**
 * Arguments: DATA BIN STOP(shell text) IS_SERVICE(yes|no) WAS_STANDBY(yes|no: it was in recovery when it was asked).
 * Prints how=; exit 3 = processes are left or may not be looked at (seen=), exit 4 = it was promoted in the meantime.
 */
export const stopScript = `
${actPreamble}
DATA=$1 BIN=$2 STOP=$3 IS_SERVICE=$4 WAS_STANDBY=$5
${processFunctions}
${endFunctions}
HOW=already-stopped
if REAL=$(cd "$DATA" 2>/dev/null && pwd -P); then
  if [ ! -O "$REAL" ] && [ "$(id -u)" != 0 ]; then echo "seen=$DATA belongs to another user than $(id -un)"; exit 3; fi
elif [ -e "$DATA" ]; then echo "seen=$DATA cannot be entered by $(id -un)"; exit 3
# A process may still work in a directory that has been removed.
else REAL=$(readlink -f "$DATA" || echo "$DATA"); HOW=absent; fi
read_processes "$REAL"
if [ "$WAS_STANDBY" = yes ] && postmaster_runs && control_file | grep -qx "state=in production"; then exit 4; fi
if [ "$IS_SERVICE" = yes ] && [ "$HOW" != absent ]; then
  # Also when nothing runs: the manager may be about to start it again.
  export BIN DATA; quietly 10 sh -c "$STOP"
  [ -z "$PIDS" ] || HOW=stop
fi
if [ -n "$PIDS" ] && { [ "$IS_SERVICE" = no ] || ! await_none 1; }; then
  # A server ends its processes by SIGKILL itself, 5 s after an immediate stop (postmaster.c, SIGKILL_CHILDREN_AFTER_SECS).
  if postmaster_runs; then HOW=immediate; quietly 7 "$BIN/pg_ctl" -D "$REAL" -m immediate -t 6 stop; else HOW=orphans-killed; end; fi
fi
# Twice: the first one ends whatever could start more.
await_none 1 || { HOW=killed; end || end; } || { say_left "these survive SIGKILL: $(echo $(postgres_processes "$REAL"))"; exit 3; }
echo "how=$HOW"
`;

/**
 * Arguments: DATA BIN START(shell text) IS_SERVICE(yes|no) SAVED. Prints state=started or running, and log=, size=: where its messages begin.
 * Exit 3 = cannot (seen=), exit 4 = no standby.signal, exit 5 = an earlier postmaster's processes are left.
 */
export const startScript = `
${actPreamble}
${processFunctions}
${homePathFunction}
${configFunction}
DATA=$1 BIN=$2 START=$3 IS_SERVICE=$4 SAVED=$(home_path "$5")
REAL=$(cd "$DATA" 2>/dev/null && pwd -P) || { echo "seen=no data directory at $DATA"; exit 3; }
if [ ! -O "$REAL" ] && [ "$(id -u)" != 0 ]; then echo "seen=$DATA belongs to another user than $(id -un)"; exit 3; fi
LOG=\${LOCK%.lock}.log
# The usual place, unless its parent belongs to somebody else.
[ "$IS_SERVICE" = yes ] || ! ( : >>"\${REAL%/*}/postgresql.log" ) 2>/dev/null || LOG=\${REAL%/*}/postgresql.log
# It may hold what a client sent.
: >>"$LOG"; [ ! -O "$LOG" ] || chmod go= "$LOG"; SIZE=$(wc -c <"$LOG")
read_processes "$REAL"; STATE=running
[ "$PIDS" != unreadable ] || { echo "$UNREADABLE"; exit 3; }
if [ -z "$PIDS" ]; then
  [ -e "$REAL/standby.signal" ] || exit 4
  find_config "$REAL" "$SAVED"
  export BIN DATA LOG CONF
  # The server must keep neither the lock nor the channel. timeout ends a start command that waits, not the server, which has a session of its own.
  STATE=started; timeout -k 1 20 sh -c "$START" </dev/null >>"$LOG" 2>&1 9>&-
elif ! postmaster_runs; then echo "seen="$PIDS; exit 5; fi
echo "state=$STATE"; echo "log=$LOG"; echo "size=$SIZE"
`;

/** Arguments: LOG SIZE. The last messages behind that many bytes; whatever else was written there if there are none. */
export const logScript = `
NEW=$(tail -c "+$(($2 + 1))" "$1" 2>/dev/null | tail -n 40)
FOUND=$(echo "$NEW" | grep -E "(LOG|ERROR|FATAL|PANIC|HINT): ")
echo "\${FOUND:-$NEW}" | tail -n 6 | tail -c 600
`;
