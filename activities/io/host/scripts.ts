// Shell that runs on the nodes: POSIX sh, sent on stdin, every value as an argument, nothing pasted into text.

/** Function `home_path PATH`: a leading ~/ is $HOME. */
export const homePathFunction = `
home_path() { case $1 in "~/"*) printf '%s\\n' "$HOME/\${1#"~/"}";; *) printf '%s\\n' "$1";; esac; }
`;

/**
 * Function `find_config DATA SAVED`: sets CONF to the postgresql.conf of a node that does not keep it in its data directory; empty for
 * any other. How its postmaster was started says where; a fresh copy was never started, but the node's saved configuration remembers
 * it; and so does Debian's layout, in which the file names the data directory.
 */
export const configFunction = `
find_config() {
  CONF=$(sed -n 's/.*"-*config[-_]file=\\([^"]*\\)".*/\\1/p' "$1/postmaster.opts" 2>/dev/null)
  [ -z "$CONF" ] && [ ! -e "$1/postgresql.conf" ] || return 0
  # -D may name the directory of the configuration, which then names that of the data.
  CONF=$(sed -n 's/.*"-D" "\\([^"]*\\)".*/\\1/p' "$1/postmaster.opts" 2>/dev/null)/postgresql.conf
  [ ! -r "$CONF" ] || return 0
  CONF=
  [ ! -r "$2/config-file" ] || read -r CONF <"$2/config-file"
  [ -z "$CONF" ] || [ ! -r "$CONF" ] || return 0
  CONF=
  for file in /etc/postgresql/*/*/postgresql.conf; do
    ! grep -qsE "^[[:blank:]]*data_directory[[:blank:]]*=?[[:blank:]]*'$1/?'" "$file" || { CONF=$file; return 0; }
  done
}
`;

/**
 * Function `postgres_processes DATA`: pids of every PostgreSQL process working in that directory, postmaster and orphan backends
 * alike; also the word `unreadable` where there may be more, which every caller takes for a process that does not go away.
 */
// PostgreSQL's processes have the data directory as their working directory (miscinit.c, ChangeToDataDir). It is compared by device
// and inode: through a bind mount, or from a container, it has another name. The program's name is checked too, so that somebody's shell
// there is never taken for one. The kernel lets nobody look into a process that has a capability more than the asker (cap_ptrace_access_check):
// such a one is ours if postmaster.pid names it or its parent, and else it proves that we cannot tell, unless it is about to end
// (PF_EXITING, 4). One grep and no program per process: to start one takes a millisecond or more, and clients wait.
export const processFunctions = `
UNREADABLE="seen=whether PostgreSQL works there is unknown: grep is missing, or a process of this user may not be looked into (a capability of it, hidepid)"
is_postgres() { [ "$1/exe" -ef "$BIN/postgres" ] ||
  case "$(readlink "$1/exe" 2>/dev/null)" in */postgres|*/postgres\\ \\(deleted\\)|*/postmaster|*/edb-postgres) ;; *) false;; esac; }
# AT PID MAIN: of a process that may not be looked into. 0 = its pid is to be told, 1 = it is none, 2 = cannot tell.
judge_hidden() {
  read -r name 2>/dev/null <"$1/comm" && read -r line 2>/dev/null <"$1/stat" || return 1
  case $name in postgres|postmaster|edb-postgres) ;; *) return 1;; esac
  IFS=' ' read -r state parent group session terminal owner flags rest <<STAT
\${line##*) }
STAT
  case $state in Z|X) return 1;; esac
  [ $((flags & 4)) = 0 ] || return 1
  [ -n "$3" ] && { [ "$2" = "$3" ] || [ "$parent" = "$3" ]; } || return 2
}
postgres_processes() {
  [ -n "$1" ] || return 0
  DIRECTORY=$1 main=; [ ! -r "$1/postmaster.pid" ] || read -r main <"$1/postmaster.pid"
  set -- /proc/[0-9]*/comm
  named=$(grep -ls -e postgres -e postmaster "$@"); [ $? -lt 126 ] && [ -e "$1" ] || { echo unreadable; return; }
  hidden=
  for at in $named; do
    at=\${at%/comm} pid=\${at%/comm}; pid=\${pid##*/}
    if [ "$at/cwd" -ef "$DIRECTORY" ]; then ! is_postgres "$at" || echo "$pid"
    elif [ ! -e "$at/cwd/PG_VERSION" ] && kill -0 "$pid" 2>/dev/null; then
      case "$(readlink "$at/cwd" 2>/dev/null)" in
        "$DIRECTORY (deleted)") ! is_postgres "$at" || echo "$pid";;
        "") judge_hidden "$at" "$pid" "$main"; case $? in 0) echo "$pid";; 2) hidden=unreadable;; esac;;
      esac
    fi
  done
  [ -z "$hidden" ] || echo "$hidden"
  # With hidepid it is not even there.
  [ -z "$main" ] || [ -e "/proc/$main" ] || ! kill -0 "$main" 2>/dev/null || echo "$main"
}
control_file() { LC_ALL=C "$BIN/pg_controldata" "$REAL" 2>/dev/null | sed -n \\
  -e 's/^Database system identifier: */identifier=/p;s/^Database cluster state: */state=/p' \\
  -e "s/^Latest checkpoint location: */checkpoint=/p;s/^Latest checkpoint's TimeLineID: */timeline=/p"; }
# Sets PIDS and MAIN, the postmaster's pid by its own file; then \`postmaster_runs\` tells whether that one is among them.
read_processes() { PIDS=$(postgres_processes "$1") MAIN=; [ ! -r "$1/postmaster.pid" ] || read -r MAIN <"$1/postmaster.pid"; }
postmaster_runs() { [ -n "$MAIN" ] && case " $(echo $PIDS) " in *" $MAIN "*) ;; *) false;; esac; }
# Without either file nothing there can be started, or lost. A path that may not be searched proves nothing.
data_directory() {
  if [ -x "$1" ]; then [ -e "$1/PG_VERSION" ] && [ -e "$1/global/pg_control" ] && echo "data_directory=yes" || echo "data_directory=no"; return; fi
  at=$1; until [ -e "$at" ] || [ -L "$at" ]; do at=\${at%/*}; at=\${at:-/}; done
  [ "$at" = "$1" ] || [ ! -x "$at" ] || echo "data_directory=no"
}
# Sets MARK to what a fence of ours wrote into standby.signal: PostgreSQL never reads that file (readRecoverySignalFile).
read_mark() { MARK=; [ ! -e "$1/standby.signal" ] || { read -r MARK; } 2>/dev/null <"$1/standby.signal"
  case $MARK in before-promotion|after-return) ;; *) MARK=none;; esac; }
`;

/** What else its files say: functions `needed_settings`, `wal_timeline` and `names SECONDS`, for $REAL; they print KEY=value lines. */
const fileFunctions = `
# What a standby needs at least of these settings (PostgreSQL documentation, 27.4.3 Administrator's Overview), as its control file has it
# from the primary. The names there are not those of the settings.
needed_settings() { LC_ALL=C "$BIN/pg_controldata" "$REAL" 2>/dev/null | sed -n \
  -e 's/^max_connections setting: */needed_max_connections=/p;s/^max_worker_processes setting: */needed_max_worker_processes=/p' \
  -e 's/^max_wal_senders setting: */needed_max_wal_senders=/p;s/^max_prepared_xacts setting: */needed_max_prepared_transactions=/p' \
  -e 's/^max_locks_per_xact setting: */needed_max_locks_per_transaction=/p'; }
# The newest timeline of which there is a WAL segment: their names sort by it. Without a program.
wal_timeline() { set -- "$REAL"/pg_wal/????????????????????????; eval "NEWEST=\\\${$#}"; NEWEST=\${NEWEST##*/}
  echo "wal_timeline=\${NEWEST%????????????????}"; }
# Debian keeps postgresql.conf elsewhere; how the postmaster was started says where. It must not be taken for a process of the data
# directory, which may be this user's home.
names() { CONF=$(sed -n 's/.*"config_file=\\([^"]*\\)".*/\\1/p' "$REAL/postmaster.opts" 2>/dev/null)
  cd / && NAMES=$(timeout "$1" "$BIN/postgres" -C synchronous_standby_names -D "$REAL" \${CONF:+-c "config_file=$CONF"} 2>/dev/null) && echo "names=$NAMES"; }
`;

/** Arguments: DATA BIN. Prints KEY=value lines; see host-facts.ts. */
export const lookScript = `
DATA=$1 BIN=$2
${processFunctions}${fileFunctions}
echo "clock=$(date +%s%3N)"
REAL=$(cd "$DATA" 2>/dev/null && pwd -P) || { data_directory "$DATA"; echo "processes=unknown"; echo "seen=no data directory at $DATA"; exit 0; }
# Other users' processes cannot be looked into: without ownership "none" would prove nothing.
if [ ! -O "$REAL" ] && [ "$(id -u)" != 0 ]; then echo "processes=unknown"; echo "seen=$DATA belongs to another user than $(id -un)"; exit 0; fi
[ -x "$BIN/pg_controldata" ] && [ -x "$BIN/pg_ctl" ] || echo "seen=pg_controldata or pg_ctl cannot be run in $BIN: correct postgres.bin"
# Takes as long as all the rest together, and on a host that is short of memory longer than the look may.
names 0.6 &
read_processes "$REAL"
if [ -z "$PIDS" ]; then echo "processes=none"
elif [ "$PIDS" = unreadable ]; then echo "processes=unknown"; echo "$UNREADABLE"
elif postmaster_runs; then echo "processes=running"
else echo "processes=orphans"; fi
[ -e "$REAL/standby.signal" ] && echo "standby_signal=yes" || echo "standby_signal=no"
read_mark "$REAL"; echo "fence_mark=$MARK"
data_directory "$REAL"
wal_timeline
if [ -z "$PIDS" ]; then control_file
elif [ -e "$REAL/standby.signal" ]; then needed_settings; fi
wait
`;

/** Arguments: BIN HOST PORT USER DATABASE PASSFILE SECONDS SSLMODE SSLROOTCERT(may be empty). Asks another node from this one; exit status and stderr tell. */
export const probeScript = `
${homePathFunction}
BIN=$1 HOST=$2 PORT=$3 PGUSER=$4 DATABASE=$5 PGPASSFILE=$(home_path "$6")
PGSSLMODE=$8 PGSSLROOTCERT=$9
export PGUSER PGPASSFILE PGSSLMODE PGSSLROOTCERT PGCONNECT_TIMEOUT=2 LC_ALL=C PGOPTIONS='-c lc_messages=C'
timeout -k 1 "$7" "$BIN/psql" -XAtwq -h "$HOST" -p "$PORT" -d "$DATABASE" -v VERBOSITY=sqlstate -c 'select pg_is_in_recovery()' </dev/null 2>&1
echo "exit=$?"
`;

/**
 * Opens every act on a node. Arguments shift by three: LOCK DEADLINE ACTOR, then the act's own.
 * One act at a time, and none after its deadline: a late attempt of a retried activity must find the door closed.
 * Exit 75 = somebody else holds the node (who, or that nobody knows, is on stderr); exit 76 = the deadline has passed.
 */
// Whoever can open the lock can hold it against us: it is closed to others, also one that was made before that was so. Its sticky
// bit says that this is done: to see it takes no program. The holder's name may be left over: it counts only while that process has the file open.
export const actPreamble = `
umask 077
LOCK=$1 DEADLINE=$2 ACTOR=$3; shift 3
# Without home_path, which would be one process more on the way to a promotion.
case $LOCK in "~/"*) LOCK=$HOME/\${LOCK#"~/"};; esac
[ -d "\${LOCK%/*}" ] || mkdir -p "\${LOCK%/*}" || exit 74
exec 9>>"$LOCK"
[ -k "$LOCK" ] || [ ! -O "$LOCK" ] || {
  chmod go= "\${LOCK%.lock}".*; chmod +t "$LOCK"
  case \${LOCK%/*} in */pgpool-runbook/*) chmod go= "\${LOCK%/*}";; esac
} 2>/dev/null
who_holds() { HOLDER=; read -r HOLDER <"$LOCK"
  [ "/proc/\${HOLDER##*, process }/fd/9" -ef "$LOCK" ] || HOLDER="an unknown process\${HOLDER:+ (last by $HOLDER)}"
  echo "$HOLDER"; }
flock -n 9 || { LEFT=$(( (DEADLINE - $(date +%s%3N)) / 1000 )); [ "$LEFT" -gt 0 ] && flock -w "$LEFT" 9; } || { who_holds >&2; exit 75; }
echo "$ACTOR, process $$" >"$LOCK"
[ "$(date +%s%3N)" -lt "$DEADLINE" ] || exit 76
`;

/** For processes that work in $REAL: `await_none COUNT` (times 50 ms), `end` (SIGKILL for all), `say_left SENTENCE` (seen=), `quietly SECONDS COMMAND`. */
export const endFunctions = `
await_none() { n=0; while [ -n "$(postgres_processes "$REAL")" ]; do n=$((n+1)); [ "$n" -gt "$1" ] && return 1; sleep 0.05; done; }
end() { PIDS=$(postgres_processes "$REAL"); [ "$PIDS" != unreadable ] || return 1
  for pid in $PIDS; do kill -KILL "$pid" 2>/dev/null; done; await_none 40; }
say_left() { case "$(postgres_processes "$REAL")" in unreadable) echo "$UNREADABLE";; *) echo "seen=$1";; esac; }
# Descriptor 9 is the lock: nothing that outlives this script may keep it.
quietly() { timeout -k 1 "$@" </dev/null >/dev/null 2>&1 9>&-; }
`;

/** Arguments after the preamble's: DATA BIN STOP(shell text) ALWAYS(yes|no: run STOP although nothing runs) MARK. Prints how each process set was ended. */
export const fenceScript = `
${actPreamble}
DATA=$1 BIN=$2 STOP=$3 ALWAYS=$4 NEW_MARK=$5
${processFunctions}${fileFunctions}
REAL=$(cd "$DATA" 2>/dev/null && pwd -P) || { echo "seen=no data directory at $DATA"; exit 3; }
if [ ! -O "$REAL" ] && [ "$(id -u)" != 0 ]; then echo "seen=$DATA belongs to another user than $(id -un)"; exit 3; fi
${endFunctions}
# What takes a while and needs nothing else runs in the background, without the lock. Every one prints whole lines at once.
names 2 9>&- &
read_processes "$REAL"; HOW=already-stopped
if [ "$PIDS" = unreadable ]; then
  [ "$ALWAYS" = no ] || { export BIN DATA; quietly 3 sh -c "$STOP"; HOW=stop; read_processes "$REAL"; }
  [ "$PIDS" != unreadable ] || { echo "$UNREADABLE"; exit 3; }
fi
if postmaster_runs; then
  export BIN DATA
  HOW=stop; quietly 3 sh -c "$STOP"
  await_none 1 || { HOW=immediate; quietly 3 "$BIN/pg_ctl" -D "$REAL" -m immediate -t 2 stop; }
  await_none 1 || { HOW=killed; end; }
elif [ -n "$PIDS" ]; then HOW=orphans-killed; end
elif [ "$ALWAYS" = yes ]; then export BIN DATA; quietly 3 sh -c "$STOP"; fi
# If anything starts this node again, it must come up read-only. Written before the last look: what starts in between
# has either read it or is seen.
# A node that was once up beside its successor stays marked so.
read_mark "$REAL"; [ "$MARK" = after-return ] || MARK=$NEW_MARK
echo "$MARK" > "$REAL/standby.signal" || { echo "seen=cannot write standby.signal"; exit 3; }
[ -O "$REAL" ] || chown --reference="$REAL" "$REAL/standby.signal"
# The names may have changed until it was stopped; the last line counts.
[ "$HOW" = already-stopped ] || { wait; names 2 9>&- & }
[ -z "$(postgres_processes "$REAL")" ] || { HOW=killed; end; } || { say_left "processes survive SIGKILL"; exit 3; }
{ sync "$REAL/standby.signal" || echo "unsynced=yes"; } 9>&- &
control_file
wait
wal_timeline
echo "how=$HOW"; echo "processes=none"; echo "standby_signal=yes"; echo "fence_mark=$MARK"
data_directory "$REAL"
exit 0
`;
