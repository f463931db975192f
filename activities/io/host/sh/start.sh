#!/bin/sh
# Starts PostgreSQL as a standby. Arguments: LOCK ISSUED DEADLINE ACTOR DATA BIN START(shell text) IS_SERVICE(yes|no) SAVED.
# Prints state=started or running, and log=, size=: where its messages begin, when all is done: a script whose worker has died must
# not end at an echo. Refuses without standby.signal; fails where an earlier postmaster's processes are left.

. lib/act.sh
. lib/processes.sh
. lib/paths.sh
. lib/config-file.sh

DATA=$1 BIN=$2 START=$3 IS_SERVICE=$4 SAVED=$(home_path "$5")
REAL=$(cd "$DATA" 2>/dev/null && pwd -P) || fail "no data directory at $DATA"
if [ ! -O "$REAL" ] && [ "$(id -u)" != 0 ]; then fail "$DATA belongs to another user than $(id -un)"; fi
LOG=${LOCK%.lock}.log
# The usual place, unless its parent belongs to somebody else.
[ "$IS_SERVICE" = yes ] || ! (: >>"${REAL%/*}/postgresql.log") 2>/dev/null || LOG=${REAL%/*}/postgresql.log
true >>"$LOG" || fail "its log cannot be written"
# The log may hold what a client sent.
[ ! -O "$LOG" ] || chmod go= "$LOG"
SIZE=$(wc -c <"$LOG")
read_processes "$REAL"
STATE=running
[ "$PIDS" != unreadable ] || fail "$UNREADABLE"
if [ -z "$PIDS" ]; then
  [ -e "$REAL/standby.signal" ] || refuse "there is no standby.signal in $DATA: it would come up writable"
  find_config "$REAL" "$SAVED"
  export BIN DATA LOG CONF
  # The server must keep neither the lock nor the channel. timeout ends a start command that waits, not the server, which has a
  # session of its own.
  STATE=started
  timeout -k 1 20 sh -c "$START" </dev/null >>"$LOG" 2>&1 9>&-
elif ! postmaster_runs; then
  fail "processes without a postmaster work in $DATA ($(on_one_line "$PIDS")): PostgreSQL cannot start beside them; a stop ends them"
fi
echo "state=$STATE"
echo "log=$LOG"
echo "size=$SIZE"
done_
