#!/bin/sh
# Runs a job in a session of its own, and writes its result. Arguments: JOB(its directory), then the script's own.

JOB=$1
shift
# Not "ignore": the script's own programs still end by the signal, and this shell lives to write their result.
trap : HUP INT TERM
cd /
echo $$ >"$JOB/pid"
sh "$JOB/script" "$@"
echo $? >"$JOB/rc.new" && sync "$JOB/rc.new" && mv "$JOB/rc.new" "$JOB/rc"
