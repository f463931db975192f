#!/bin/sh
# Durable jobs: claim by rename, liveness by flock, result by rename, end by process group. A job is a directory JOBS/NAME with
# script, run, lock, log, pid (= process group) and, once it has ended, rc.

. lib/paths.sh

# job_state JOB: absent, running, done or lost; unknown when the lock cannot be read.
# The kernel's lock tells who lives: it is inherited by all that the job starts, and knows neither reboots nor reused pids.
# The lock is asked before the result: a lock that is free will not write a result any more.
job_state() {
  [ -d "$1" ] || {
    echo absent
    return
  }
  flock -sn "$1/lock" true 9>&- 2>/dev/null
  case $? in
    1) echo running ;;
    0) if [ -s "$1/rc" ]; then echo "done"; else echo lost; fi ;;
    *) if [ -d "$1" ]; then echo unknown; else echo absent; fi ;;
  esac
}

# remove_job JOB: of a job that does not run; at once, so that nobody sees half of it.
remove_job() {
  [ ! -d "$1" ] || {
    rm -rf "${1%/*}/.old"
    mv -T "$1" "${1%/*}/.old" && rm -rf "${1%/*}/.old"
  }
}
