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
 * alike; the word `unreadable` where that cannot be told, which every caller takes for a process that does not go away.
 */
// PostgreSQL's processes have the data directory as their working directory (miscinit.c, ChangeToDataDir). The program's
// name is checked too, so that somebody's shell in that directory is never taken for one. One find and no program per
// process: to start one takes a millisecond or more, and clients wait.
export const processFunctions = `
UNREADABLE="seen=its processes cannot be listed: install findutils"
postgres_processes() {
  [ -n "$1" ] || return 0
  find /proc/[0-9]*/cwd -prune -printf '%h %l\\n' 2>/dev/null | { LISTED=
    while IFS= read -r line; do
      LISTED=yes
      case "\${line#* }" in "$1"|"$1 (deleted)") ;; *) continue;; esac
      pid=\${line%% *} pid=\${pid#/proc/}
      [ "/proc/$pid/exe" -ef "$BIN/postgres" ] && echo "$pid" && continue
      case "$(readlink "/proc/$pid/exe" 2>/dev/null)" in */postgres|*/postgres\\ \\(deleted\\)|*/postmaster) echo "$pid";; esac
    done
    # This shell is a process, too.
    [ "$LISTED" ] || echo unreadable; }
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

/** Arguments: DATA BIN. Prints KEY=value lines; see host-facts.ts. */
export const lookScript = `
DATA=$1 BIN=$2
${processFunctions}
echo "clock=$(date +%s%3N)"
REAL=$(cd "$DATA" 2>/dev/null && pwd -P) || { data_directory "$DATA"; echo "processes=unknown"; echo "seen=no data directory at $DATA"; exit 0; }
# Other users' processes cannot be looked into: without ownership "none" would prove nothing.
if [ ! -O "$REAL" ] && [ "$(id -u)" != 0 ]; then echo "processes=unknown"; echo "seen=$DATA belongs to another user than $(id -un)"; exit 0; fi
[ -x "$BIN/pg_controldata" ] && [ -x "$BIN/pg_ctl" ] || echo "seen=pg_controldata or pg_ctl cannot be run in $BIN: correct postgres.bin"
read_processes "$REAL"
if [ -z "$PIDS" ]; then echo "processes=none"
elif [ "$PIDS" = unreadable ]; then echo "processes=unknown"; echo "$UNREADABLE"
elif postmaster_runs; then echo "processes=running"
else echo "processes=orphans"; fi
[ -e "$REAL/standby.signal" ] && echo "standby_signal=yes" || echo "standby_signal=no"
read_mark "$REAL"; echo "fence_mark=$MARK"
data_directory "$REAL"
[ -n "$PIDS" ] || control_file
`;

/** Arguments: BIN HOST PORT USER DATABASE PASSFILE SECONDS SSLMODE SSLROOTCERT(may be empty). Asks another node from this one; exit status and stderr tell. */
export const probeScript = `
${homePathFunction}
BIN=$1 HOST=$2 PORT=$3 PGUSER=$4 DATABASE=$5 PGPASSFILE=$(home_path "$6")
PGSSLMODE=$8 PGSSLROOTCERT=$9
export PGUSER PGPASSFILE PGSSLMODE PGSSLROOTCERT PGCONNECT_TIMEOUT=2 LC_ALL=C PGOPTIONS='-c lc_messages=C'
timeout -k 1 "$7" "$BIN/psql" -XAtwq -h "$HOST" -p "$PORT" -d "$DATABASE" -v VERBOSITY=sqlstate -c 'select 1' </dev/null 2>&1
echo "exit=$?"
`;

/**
 * Opens every act on a node. Arguments shift by three: LOCK DEADLINE ACTOR, then the act's own.
 * One act at a time, and none after its deadline: a late attempt of a retried activity must find the door closed.
 * Exit 75 = another act holds the node (its name is on stderr); exit 76 = the deadline has passed.
 */
export const actPreamble = `
LOCK=$1 DEADLINE=$2 ACTOR=$3; shift 3
# Without home_path, which would be one process more on the way to a promotion.
case $LOCK in "~/"*) LOCK=$HOME/\${LOCK#"~/"};; esac
[ -d "\${LOCK%/*}" ] || mkdir -p "\${LOCK%/*}" || exit 74
exec 9>>"$LOCK"
flock -n 9 || { LEFT=$(( (DEADLINE - $(date +%s%3N)) / 1000 )); [ "$LEFT" -gt 0 ] && flock -w "$LEFT" 9; } || { cat "$LOCK" >&2; exit 75; }
echo "$ACTOR" >"$LOCK"
[ "$(date +%s%3N)" -lt "$DEADLINE" ] || exit 76
`;

/** For processes that work in $REAL: `await_none COUNT` (times 50 ms), `end` (SIGKILL for all), `quietly SECONDS COMMAND`. */
export const endFunctions = `
await_none() { n=0; while [ -n "$(postgres_processes "$REAL")" ]; do n=$((n+1)); [ "$n" -gt "$1" ] && return 1; sleep 0.05; done; }
end() { for pid in $(postgres_processes "$REAL"); do kill -KILL "$pid" 2>/dev/null; done; await_none 40; }
# Descriptor 9 is the lock: nothing that outlives this script may keep it.
quietly() { timeout -k 1 "$@" </dev/null >/dev/null 2>&1 9>&-; }
`;

/** Arguments after the preamble's: DATA BIN STOP(shell text) ALWAYS(yes|no: run STOP although nothing runs) MARK. Prints how each process set was ended. */
export const fenceScript = `
${actPreamble}
DATA=$1 BIN=$2 STOP=$3 ALWAYS=$4 NEW_MARK=$5
${processFunctions}
REAL=$(cd "$DATA" 2>/dev/null && pwd -P) || { echo "seen=no data directory at $DATA"; exit 3; }
if [ ! -O "$REAL" ] && [ "$(id -u)" != 0 ]; then echo "seen=$DATA belongs to another user than $(id -un)"; exit 3; fi
${endFunctions}
# What takes a while and needs nothing else runs in the background, without the lock. Every one prints whole lines at once.
# Debian keeps postgresql.conf elsewhere; how the postmaster was started says where.
CONF=$(sed -n 's/.*"config_file=\\([^"]*\\)".*/\\1/p' "$REAL/postmaster.opts" 2>/dev/null)
# It must not be taken for a process of the data directory, which may be this user's home.
names() { cd / && NAMES=$("$BIN/postgres" -C synchronous_standby_names -D "$REAL" \${CONF:+-c "config_file=$CONF"} 2>/dev/null) && echo "names=$NAMES"; }
{ names; } 9>&- &
read_processes "$REAL"; HOW=already-stopped
[ "$PIDS" != unreadable ] || { echo "$UNREADABLE"; exit 3; }
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
# The names may have changed until it was stopped; the last line counts.
[ "$HOW" = already-stopped ] || { wait; { names; } 9>&- & }
[ -z "$(postgres_processes "$REAL")" ] || { HOW=killed; end; } || { echo "seen=processes survive SIGKILL"; exit 3; }
{ sync "$REAL/standby.signal" || echo "unsynced=yes"; } 9>&- &
control_file
wait
echo "how=$HOW"; echo "processes=none"; echo "standby_signal=yes"; echo "fence_mark=$MARK"
data_directory "$REAL"
exit 0
`;
