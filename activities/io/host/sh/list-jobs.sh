#!/bin/sh
# Names the jobs whose directory exists. Arguments: JOBS. Prints job= for each.

. lib/answer.sh
. lib/jobs.sh

for JOB in "$(home_path "$1")"/*; do [ ! -d "$JOB" ] || echo "job=${JOB##*/}"; done
done_
