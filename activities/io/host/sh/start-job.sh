#!/bin/sh
# Starts a job unless it was started before. Arguments: LOCK ISSUED DEADLINE ACTOR JOBS NAME SUPERVISOR SCRIPT, then the script's own.
# The job's lock is taken before the claim and handed down: from the claim on, a free lock means that nothing runs.

. lib/act.sh
. lib/jobs.sh

JOBS=$(home_path "$1") NAME=$2 SUPERVISOR=$3 SCRIPT=$4
shift 4
JOB=$JOBS/$NAME NEW=$JOBS/.new
umask 077
mkdir -p "$JOBS" || fail "cannot make $JOBS"
[ ! -d "$JOB" ] || done_
rm -rf "$NEW"
{ mkdir "$NEW" && printf '%s\n' "$SUPERVISOR" >"$NEW/run" && printf '%s\n' "$SCRIPT" >"$NEW/script"; } || fail "cannot write $NEW"
{ exec 8>"$NEW/lock" && flock -n 8 && mv -T "$NEW" "$JOB"; } || fail "cannot make $JOB"
setsid -f sh "$JOB/run" "$JOB" "$@" </dev/null >"$JOB/log" 2>&1 9>&- || fail "cannot start $JOB"
done_
