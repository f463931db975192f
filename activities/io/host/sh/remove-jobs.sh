#!/bin/sh
# Removes the directories of all jobs that do not run. Arguments: LOCK DEADLINE ACTOR JOBS. Exit 3 = one could not be removed.

. lib/act.sh
. lib/jobs.sh

JOBS=$(home_path "$1")
[ -d "$JOBS" ] || exit 0
for JOB in "$JOBS"/*; do
  case $(job_state "$JOB") in "done" | lost) remove_job "$JOB" || exit 3 ;; esac
done
rm -rf "$JOBS/.new" "$JOBS/.old"
rmdir "$JOBS" 2>/dev/null || true
