#!/bin/sh
# Ends a job if it runs, and removes its directory. Arguments: LOCK ISSUED DEADLINE ACTOR JOBS NAME. Fails where something of it is left.

. lib/act.sh
. lib/jobs.sh

JOB=$(home_path "$1")/$2
runs() { [ "$(job_state "$JOB")" = running ]; }
await_end() {
  n=0
  while runs; do
    n=$((n + 1))
    [ "$n" -gt "$1" ] && return 1
    sleep 0.05
  done
}
if runs; then
  n=0
  until [ -s "$JOB/pid" ] || [ "$n" -gt 100 ]; do
    n=$((n + 1))
    sleep 0.05
  done
  GROUP=$(cat "$JOB/pid")
  kill -s TERM -- "-$GROUP"
  await_end 100 || {
    kill -s KILL -- "-$GROUP"
    await_end 100
  } || fail "processes of group $GROUP survive SIGKILL"
fi
remove_job "$JOB" || fail "cannot remove $JOB"
done_
