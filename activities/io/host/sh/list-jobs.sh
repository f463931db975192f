#!/bin/sh
# Prints the names of the jobs whose directory exists, one a line. Arguments: JOBS.

. lib/jobs.sh

for JOB in "$(home_path "$1")"/*; do [ ! -d "$JOB" ] || echo "${JOB##*/}"; done
