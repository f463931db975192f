#!/bin/sh
# Removes the directories of all jobs that do not run. Arguments: LOCK ISSUED DEADLINE ACTOR JOBS.

. lib/act.sh
. lib/jobs.sh

JOBS=$(home_path "$1")
[ -d "$JOBS" ] || done_
for JOB in "$JOBS"/*; do
  case $(job_state "$JOB") in "done" | lost) remove_job "$JOB" || fail "cannot remove $JOB" ;; esac
done
rm -rf "$JOBS/.new" "$JOBS/.old"
rmdir "$JOBS" 2>/dev/null
done_
