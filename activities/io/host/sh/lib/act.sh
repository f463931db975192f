#!/bin/sh
# Opens every act on a node, and takes the first four arguments: LOCK ISSUED DEADLINE(both ms, by this clock) ACTOR.
# One act at a time, none after its deadline, and none that was issued before another actor's act ended, whose world is gone. Ends with
# wrong= and LOCK_FAILED, or with closed= and LOCK_HELD (holder= says by whom) or TOO_LATE (overtaken= says by whom).

. lib/answer.sh

umask 077
LOCK=$1 ISSUED=$2 DEADLINE=$3 ACTOR=$4
shift 4
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
BEGAN_MS=$(date +%s%3N)
[ "$BEGAN_MS" -lt "$DEADLINE" ] || close "$TOO_LATE" "the act arrived after its deadline and was refused"
# Beside the lock: when the last act ended that may have changed something, and whose it was.
LAST_CHANGE=${LOCK%.lock}.changed
# refuse_overtaken: the same actor's retry goes on. A time in the future was written before the clock was set back.
refuse_overtaken() {
  { read -r ENDED_MS BY <"$LAST_CHANGE"; } 2>/dev/null || return 0
  case $ENDED_MS in "" | *[!0-9]*) return 0 ;; esac
  if [ "$ISSUED" -ge "$ENDED_MS" ] || [ "$ENDED_MS" -gt "$BEGAN_MS" ] || [ "$BY" = "$ACTOR" ]; then return 0; fi
  echo "overtaken=$BY"
  close "$TOO_LATE" "another act ($BY) ended after this one was issued, so it was refused; the node is looked at again"
}
# Hundredths of a second since the start of the host: without a program, for which clients would wait.
read_ticks() {
  { IFS=' ' read -r TICKS _ </proc/uptime; } 2>/dev/null
  TICKS=${TICKS%.*}${TICKS#*.}
  case $TICKS in "" | *[!0-9]*) TICKS=0 ;; esac
}
note_end() {
  read_ticks
  # Never later than the act really ended: whatever is issued after it must not be refused.
  echo "$((BEGAN_MS + (TICKS > BEGAN_TICKS ? TICKS - BEGAN_TICKS - 1 : 0) * 10)) $ACTOR" >"$LAST_CHANGE"
}
# An act that only looks sets CHANGES=no before it includes this.
[ "${CHANGES-yes}" = no ] || {
  refuse_overtaken
  read_ticks
  BEGAN_TICKS=$TICKS
  # At once, too: an act that is killed notes no end.
  note_end
  trap note_end EXIT
}
