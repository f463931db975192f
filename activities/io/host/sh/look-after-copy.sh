#!/bin/sh
# The fresh copy of a rebuild: says what is there, makes room for it, removes one that is of no use. Arguments: LOCK ISSUED DEADLINE ACTOR
# ACTION(look|prepare|discard) JOBS COPY VERIFY(names of the jobs) ID MODE WROTE(yes: COPY has run) CURRENT, then every FRESH, the data
# directory's first. Prints state= and job= (COPY's).

# shellcheck disable=SC2034 # act.sh reads it
case $5 in look) CHANGES=no ;; esac
. lib/act.sh
. lib/jobs.sh
. lib/processes.sh

ACTION=$1 JOBS=$(home_path "$2") ID=$5 MODE=$6 WROTE=$7 CURRENT=$8 NAME=$3
COPY=$JOBS/$3 VERIFY=$JOBS/$4
shift 8
FRESH=$1
say() {
  echo "state=$1"
  echo "job=$STATE"
  done_
}
is_marked() { [ "$(cat "$1/$REBUILD_MARK" 2>/dev/null)" = "$ID" ]; }
STATE=$(job_state "$COPY")
is_marked "$FRESH" && say marked
is_marked "$CURRENT" && say marked
case $STATE in running) say running ;; unknown) refuse "the lock of $COPY cannot be read" ;; esac
# pg_basebackup renames backup_manifest last, after everything is synced to disk.
IS_COMPLETE=no
if [ "$STATE" != absent ] && [ -f "$FRESH/backup_manifest" ]; then IS_COMPLETE=yes; fi
case $ACTION in
  look)
    [ "$IS_COMPLETE" = yes ] && say complete
    say incomplete
    ;;
  prepare) [ "$IS_COMPLETE" = yes ] && say complete ;;
  discard)
    [ "$(job_state "$VERIFY")" != running ] || say complete
    # verify-backup.sh refuses a copy that is wrong, and only that.
    [ "$(cat "$VERIFY/rc" 2>/dev/null)" = "$REFUSED" ] || {
      remove_job "$VERIFY"
      say complete
    }
    ;;
esac
# Names of rebuilds sort by age. All of them write to the same places, and the newest is right.
NEWEST=$({
  names_in "$JOBS"
  echo "$NAME"
} | grep '^base-backup-' | LC_ALL=C sort | tail -n 1)
[ "$NEWEST" = "$NAME" ] || refuse "a newer rebuild has begun here ($NEWEST)"
[ "$STATE" = absent ] || WROTE=yes
# The kernel shows a blank in a mount point's name as \040.
holds_mount() {
  AT=$1 awk '{ at = $5; gsub(/\\040/, " ", at) } index(at "/", ENVIRON["AT"]) == 1 { found = 1 } END { exit !found }' /proc/self/mountinfo
}
check() {
  [ ! -L "$1" ] || refuse "$1 is a symbolic link"
  [ -e "$1" ] || return 0
  REAL=$(cd "$1" && pwd -P) || refuse "$1 cannot be entered"
  if [ "$MODE" = sibling ]; then
    case $1 in *"$FRESH_SUFFIX") ;; *) refuse "$1 is not named like a fresh copy of ours" ;; esac
    ! holds_mount "$REAL/" || refuse "something is mounted at or below $1"
  else
    [ -n "$(ls -A "$1")" ] || return 0
    [ "$WROTE" = yes ] || refuse "$1 is not empty, and no base backup of this rebuild has written into it"
    for PART in "$REAL"/* "$REAL"/.[!.]*; do ! holds_mount "$PART/" || refuse "something is mounted at $PART"; done
  fi
  [ -z "$(postgres_processes "$REAL")" ] || refuse "PostgreSQL works in $1"
  # pg_basebackup brings neither (backup/basebackup.c, excludeFiles). The second stays from the first start on.
  [ ! -e "$1/postmaster.pid" ] || refuse "$1 was started: it has a postmaster.pid; stop it and remove $1"
  [ "$MODE" = sibling ] || [ ! -e "$1/postmaster.opts" ] ||
    refuse "$1 was started: it has a postmaster.opts; stop it, look whether it took writes, and empty $1"
}
for PLACE in "$@"; do check "$PLACE"; done
# removeFirst writes into the directory itself, which may be a mount point, or have a parent of root's.
for PLACE in "$@"; do
  if [ ! -e "$PLACE" ]; then
    :
  elif [ "$MODE" = sibling ]; then
    rm -rf --one-file-system -- "$PLACE"
  else
    find "$PLACE" -xdev -mindepth 1 -delete
  fi || fail "cannot remove what is at $PLACE"
done
# Last, because they are the evidence that what was there was ours.
{ remove_job "$VERIFY" && remove_job "$COPY"; } || fail "cannot remove the jobs in $JOBS"
say cleared
