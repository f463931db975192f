#!/bin/sh
# Opens every act on a node, and takes the first three arguments: LOCK DEADLINE(ms, by this clock) ACTOR.
# One act at a time, and none after its deadline: a late attempt of a retried activity finds the door closed.
# Ends with wrong= and LOCK_FAILED, or with closed= and LOCK_HELD (holder= says by whom) or DEADLINE_PASSED.

. lib/answer.sh

umask 077
LOCK=$1 DEADLINE=$2 ACTOR=$3
shift 3
# Without home_path, which would be one process more on the way to a promotion.
case $LOCK in \~/*) LOCK=$HOME/${LOCK#\~/} ;; esac
[ -d "${LOCK%/*}" ] || WHY=$(mkdir -p "${LOCK%/*}" 2>&1) || {
  echo "wrong=cannot create paths.jobs (${LOCK%/*}): $WHY"
  exit "$LOCK_FAILED"
}
exec 9>>"$LOCK"
# A user who can open the lock can hold it against us: it is closed to others, also one that was made before that was so.
# The sticky bit says that this is done: to see it takes no program.
[ -k "$LOCK" ] || [ ! -O "$LOCK" ] || {
  chmod go= "${LOCK%.lock}".*
  chmod +t "$LOCK"
  case ${LOCK%/*} in */pgpool-runbook/*) chmod go= "${LOCK%/*}" ;; esac
} 2>/dev/null
# close STATUS SENTENCE
close() {
  echo "closed=$2"
  exit "$1"
}
# The holder's name may be left over: it counts only while that process has the file open.
find_holder() {
  HOLDER=
  read -r HOLDER <"$LOCK"
  [ "/proc/${HOLDER##*, process }/fd/9" -ef "$LOCK" ] || HOLDER="an unknown process${HOLDER:+ (last by $HOLDER)}"
}
wait_for_lock() {
  LEFT=$(((DEADLINE - $(date +%s%3N)) / 1000))
  [ "$LEFT" -gt 0 ] && flock -w "$LEFT" 9
}
flock -n 9 || wait_for_lock || {
  find_holder
  echo "holder=$HOLDER"
  close "$LOCK_HELD" "$LOCK is held by $HOLDER; it is retried"
}
echo "$ACTOR, process $$" >"$LOCK"
[ "$(date +%s%3N)" -lt "$DEADLINE" ] || close "$DEADLINE_PASSED" "the act arrived after its deadline and was refused"
