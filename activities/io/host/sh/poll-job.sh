#!/bin/sh
# Looks at a job. Arguments: JOBS NAME FROM(byte of its log, 1 = the first) LIMIT(bytes) WAIT(seconds, for the end of a job that
# runs; may have a fraction). Prints state=, exit= and log=, as base64: a chunk may end within a character.

. lib/answer.sh
. lib/jobs.sh

JOB=$(home_path "$1")/$2
[ ! -e "$JOB/lock" ] || flock -s -w "$5" "$JOB/lock" true 2>/dev/null
STATE=$(job_state "$JOB")
echo "state=$STATE"
[ "$STATE" != "done" ] || echo "exit=$(cat "$JOB/rc")"
[ "$STATE" = absent ] || echo "log=$(tail -c "+$3" "$JOB/log" 2>/dev/null | head -c "$4" | base64 | tr -d '\n')"
done_
