#!/bin/sh
# Which PostgreSQL processes work in a data directory, postmaster and orphan backends alike. Needs BIN.
# PostgreSQL's processes have the data directory as their working directory (miscinit.c, ChangeToDataDir).

NL='
'
# shellcheck disable=SC2034 # the scripts that include this file say it
UNREADABLE="whether PostgreSQL works there is unknown: grep is missing, or a process of this user may not be looked into (a capability of it, hidepid)"

# By device and inode: through a bind mount, or from a container, a file has another name.
same_file() { [ "$1" -ef "$2" ]; }

# The program is checked besides the directory, so that somebody's shell there is never taken for a server.
is_postgres() {
  same_file "$1/exe" "$BIN/postgres" ||
    case "$(readlink "$1/exe" 2>/dev/null)" in
      */postgres | *"/postgres (deleted)" | */postmaster | */edb-postgres) ;;
      *) false ;;
    esac
}

# judge_hidden AT PID MAIN, of a process that may not be looked into: 0 = its pid is to be told, 1 = it is none, 2 = cannot tell.
# The kernel lets nobody look into a process that has a capability more than the asker (cap_ptrace_access_check): such a one
# is ours if postmaster.pid names it or its parent, and else it proves that we cannot tell, unless it is about to end (PF_EXITING, 4).
judge_hidden() {
  { read -r name <"$1/comm" && read -r line <"$1/stat"; } 2>/dev/null || return 1
  case $name in postgres | postmaster | edb-postgres) ;; *) return 1 ;; esac
  IFS=' ' read -r state parent _ _ _ _ flags _ <<STAT
${line##*) }
STAT
  case $state in Z | X) return 1 ;; esac
  [ $((flags & 4)) = 0 ] || return 1
  if [ -n "$3" ] && { [ "$2" = "$3" ] || [ "$parent" = "$3" ]; }; then return 0; fi
  return 2
}

# postgres_processes DATA: their pids, one a line; also the word "unreadable" where there may be more, which every caller takes
# for a process that does not go away. One grep and no program per process: to start one takes a millisecond or more, and clients wait.
postgres_processes() {
  [ -n "$1" ] || return 0
  DIRECTORY=$1 main=''
  [ ! -r "$1/postmaster.pid" ] || read -r main <"$1/postmaster.pid"
  set -- /proc/[0-9]*/comm
  named=$(grep -ls -e postgres -e postmaster "$@")
  # From 126 on grep was not run; without any process's name /proc is not there.
  if [ $? -ge 126 ] || [ ! -e "$1" ]; then
    echo unreadable
    return
  fi
  hidden=
  for at in $named; do
    at=${at%/comm} pid=${at%/comm}
    pid=${pid##*/}
    if same_file "$at/cwd" "$DIRECTORY"; then
      ! is_postgres "$at" || echo "$pid"
    elif [ ! -e "$at/cwd/PG_VERSION" ] && kill -0 "$pid" 2>/dev/null; then
      case "$(readlink "$at/cwd" 2>/dev/null)" in
        "$DIRECTORY (deleted)") ! is_postgres "$at" || echo "$pid" ;;
        "")
          judge_hidden "$at" "$pid" "$main"
          case $? in 0) echo "$pid" ;; 2) hidden=unreadable ;; esac
          ;;
      esac
    fi
  done
  [ -z "$hidden" ] || echo "$hidden"
  # With hidepid the postmaster is not even in /proc.
  [ -z "$main" ] || [ -e "/proc/$main" ] || ! kill -0 "$main" 2>/dev/null || echo "$main"
}

# read_processes DATA: sets PIDS, and MAIN to the postmaster's pid by its own file; then postmaster_runs tells whether MAIN is among PIDS.
read_processes() {
  PIDS=$(postgres_processes "$1") MAIN=''
  [ ! -r "$1/postmaster.pid" ] || read -r MAIN <"$1/postmaster.pid"
}
postmaster_runs() { [ -n "$MAIN" ] && case $NL$PIDS$NL in *"$NL$MAIN$NL"*) ;; *) false ;; esac }

# on_one_line PIDS: with blanks between them.
on_one_line() {
  line=
  for word in $1; do line="$line $word"; done
  echo "${line# }"
}
