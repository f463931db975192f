// Shell of the durable jobs, run on the nodes: claim by rename, liveness by flock, result by rename, end by process group.
// A job is a directory JOBS/NAME with script, run, lock, log, pid (= process group) and, once it has ended, rc.

import { actPreamble, homePathFunction } from './scripts';

/**
 * `job_state JOB`: absent, running, done or lost; unknown when the lock cannot be read.
 * `remove_job JOB`: of a job that does not run; at once, so that nobody sees half of it.
 */
// The kernel's lock tells who lives: it is inherited by all that the job starts, and knows neither reboots nor reused pids.
// It is asked before the result: one that is free will not write a result any more.
export const jobFunctions = `
${homePathFunction}
job_state() {
  [ -d "$1" ] || { echo absent; return; }
  flock -sn "$1/lock" true 9>&- 2>/dev/null
  case $? in
    1) echo running;;
    0) if [ -s "$1/rc" ]; then echo "done"; else echo lost; fi;;
    *) if [ -d "$1" ]; then echo unknown; else echo absent; fi;;
  esac
}
remove_job() { [ ! -d "$1" ] || { rm -rf "\${1%/*}/.old"; mv -T "$1" "\${1%/*}/.old" && rm -rf "\${1%/*}/.old"; }; }
`;

// A trap that is not "ignore": the script's own programs still end by the signal, and this shell lives to write their result.
const supervisor = `
JOB=$1; shift
trap : HUP INT TERM
cd /
echo $$ >"$JOB/pid"
sh "$JOB/script" "$@"
echo $? >"$JOB/rc.new" && sync "$JOB/rc.new" && mv "$JOB/rc.new" "$JOB/rc"
`;

/** Arguments after the preamble's: JOBS NAME SUPERVISOR SCRIPT, then the script's own. Starts the job unless it was started before. */
// The lock is taken before the claim and handed down: from the claim on, a free lock means that nothing runs.
const startScript = `
${actPreamble}
${jobFunctions}
JOBS=$(home_path "$1") NAME=$2 SUPERVISOR=$3 SCRIPT=$4; shift 4
JOB=$JOBS/$NAME NEW=$JOBS/.new
umask 077
mkdir -p "$JOBS" || exit 3
[ -d "$JOB" ] && exit 0
rm -rf "$NEW"
mkdir "$NEW" && printf '%s\\n' "$SUPERVISOR" >"$NEW/run" && printf '%s\\n' "$SCRIPT" >"$NEW/script" || exit 3
exec 8>"$NEW/lock" && flock -n 8 && mv -T "$NEW" "$JOB" || exit 3
setsid -f sh "$JOB/run" "$JOB" "$@" </dev/null >"$JOB/log" 2>&1 9>&-
`;

export const startJobScript = { script: startScript, supervisor };

/**
 * Arguments: JOBS NAME FROM(byte, 1 = the first) LIMIT(bytes) WAIT(seconds, for the end of a job that runs; may have a fraction).
 * The log travels as base64: a chunk may end within a character.
 */
export const pollJobScript = `
${jobFunctions}
JOB=$(home_path "$1")/$2
[ ! -e "$JOB/lock" ] || flock -s -w "$5" "$JOB/lock" true 2>/dev/null
STATE=$(job_state "$JOB")
echo "state=$STATE"
[ "$STATE" != "done" ] || echo "exit=$(cat "$JOB/rc")"
[ "$STATE" = absent ] || echo "log=$(tail -c "+$3" "$JOB/log" 2>/dev/null | head -c "$4" | base64 | tr -d '\\n')"
`;

/** Arguments after the preamble's: JOBS NAME. Exit 3 = something of it is left. */
export const endJobScript = `
${actPreamble}
${jobFunctions}
JOB=$(home_path "$1")/$2
runs() { [ "$(job_state "$JOB")" = running ]; }
await_end() { n=0; while runs; do n=$((n+1)); [ "$n" -gt "$1" ] && return 1; sleep 0.05; done; }
if runs; then
  n=0; until [ -s "$JOB/pid" ] || [ "$n" -gt 100 ]; do n=$((n+1)); sleep 0.05; done
  GROUP=$(cat "$JOB/pid")
  kill -s TERM -- "-$GROUP"
  await_end 100 || { kill -s KILL -- "-$GROUP"; await_end 100; } || { echo "processes of group $GROUP survive SIGKILL" >&2; exit 3; }
fi
remove_job "$JOB"
`;

/** Arguments after the preamble's: JOBS. */
export const removeJobsScript = `
${actPreamble}
${jobFunctions}
JOBS=$(home_path "$1")
[ -d "$JOBS" ] || exit 0
for JOB in "$JOBS"/*; do
  case $(job_state "$JOB") in done|lost) remove_job "$JOB" || exit 3;; esac
done
rm -rf "$JOBS/.new" "$JOBS/.old"
rmdir "$JOBS" 2>/dev/null || true
`;

/** Arguments: JOBS. One name a line. */
export const listJobsScript = `
${jobFunctions}
for JOB in "$(home_path "$1")"/*; do [ ! -d "$JOB" ] || echo "\${JOB##*/}"; done
`;
