#!/bin/sh
# Data directories: what every script that looks at, moves or removes one shares. Needs BIN.
# Each path is checked by what it is at that moment, never by what it was.

. lib/answer.sh
. lib/paths.sh
. lib/processes.sh
. lib/data-facts.sh

export LC_ALL=C
exists() { [ -e "$1" ] || [ -L "$1" ]; }
parent_of() { case $1 in /*/*) printf '%s\n' "${1%/*}" ;; *) echo / ;; esac }
# real_path PATH: without symbolic links, also when only its parent exists.
real_path() {
  if [ -d "$1" ] && (cd "$1") 2>/dev/null; then
    (cd "$1" && pwd -P)
  elif [ -L "$1" ]; then
    readlink "$1"
  else
    up=$(cd "$(parent_of "$1")" 2>/dev/null && pwd -P) && printf '%s\n' "${up%/}/${1##*/}"
  fi
}
# The kernel shows a blank in a mount point's name as \040.
mounts() { awk '{ at = $2; gsub(/\\040/, " ", at); print at }' /proc/self/mounts; }
# A bind mount has its parent's device number.
is_mount() { [ "$(stat -c %d "$1")" != "$(stat -c %d "$1/..")" ] || mounts | grep -qxF -e "$1"; }
is_empty() { names=$(ls -A "$1" 2>/dev/null) && [ -z "$names" ]; }
# mark_of DIRECTORY: the id of the unfinished rebuild whose copy it is.
mark_of() { [ ! -L "$1" ] && head -n 1 "$1/$REBUILD_MARK" 2>/dev/null; }
# link_path DATA NAME: of pg_wal or a tablespace.
link_path() { case $2 in pg_wal) printf '%s\n' "$1/pg_wal" ;; *) printf '%s\n' "$1/pg_tblspc/$2" ;; esac }
is_unfinished() { [ ! -f "$1/PG_VERSION" ] && { [ -f "$1/backup_label" ] || [ -f "$1/$REMOVING_MARK" ]; }; }
is_data() { [ -f "$1/PG_VERSION" ] || is_unfinished "$1" || is_empty "$1"; }
# whole DIRECTORY: refuses what is not simply a directory of ours.
whole() {
  { [ -d "$1" ] && [ ! -L "$1" ] && [ "$(real_path "$1")" = "$1" ]; } || refuse "$1 is not a directory with that real path"
  [ -O "$1" ] || refuse "$1 does not belong to $(id -un)"
}
unused() {
  case "$(postgres_processes "$1")" in
    "") ;;
    unreadable) refuse "$1: $UNREADABLE" ;;
    *) refuse "PostgreSQL processes work in $1" ;;
  esac
}
sync_paths() { sync "$@" 2>/dev/null || sync; }
identifier_of() { REAL=$1 control_file | sed -n 's/^identifier=//p'; }
same_system() {
  [ -e "$1/global/pg_control" ] || return 0
  own=$(identifier_of "$1") other=$(identifier_of "$2")
  [ -n "$own" ] || refuse "$1/global/pg_control cannot be read"
  [ "$own" = "$other" ] || refuse "$1 belongs to another cluster (system identifier $own)"
}
# wipe DIRECTORY [NAME]: its contents but for that name, on its own filesystem only.
wipe() { (cd "$1" && [ "$(pwd -P)" = "$1" ] && find . -mindepth 1 -xdev ${2:+! -path "./$2"} -delete); }
# strange_name LINK DIRECTORY VERSION: the first name that is neither one that PostgreSQL keeps there itself nor our mark.
strange_name() {
  case $1 in
    pg_wal) OWN='[0-9A-F]{24}([.].*)?|[0-9A-F]{8}[.]history|archive_status|summaries|[a-z]*temp[.][0-9]+|RECOVERY[A-Z]+' ;;
    *) OWN="PG_$3_[0-9]+" ;;
  esac
  names_in "$2" | grep -vxE "$OWN|$REBUILD_MARK([.]new)?" | sort | head -n 1
}
