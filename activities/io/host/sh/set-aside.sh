#!/bin/sh
# Moves the old data directories aside, by rename only. Arguments: LOCK ISSUED DEADLINE ACTOR BIN ID LINKS, then LINK CURRENT FRESH ASIDE
# of every directory, the data directory's (LINK -) first. Prints moved= and aside=, or state=placed.
# The data directory goes first and its copy comes last: in between nothing can be started there, and nothing is half there.

. lib/act.sh
. lib/moves.sh
. lib/links.sh

BIN=$1 ID=$2 LINKS=$(home_path "$3") CURRENT=$5 FRESH=$6 ASIDE=$7
shift 7
! is_copy "$CURRENT" || {
  echo "state=placed"
  done_
}
fresh_copy
check_copy() {
  LINK=$(link_path "$FRESH" "$1")
  if is_copy "$2" || is_copy "$3"; then return; fi
  if [ ! -L "$LINK" ]; then
    [ "$1" != pg_wal ] || refuse "$LINK is not a link to $3"
    return
  fi
  { [ "$(real_path "$LINK")" = "$3" ] && [ -d "$3" ]; } || refuse "$LINK does not lead to $3"
  mark "$3"
}
each check_copy "$@"
if exists "$CURRENT"; then
  whole "$CURRENT"
  ! is_mount "$CURRENT" || refuse "$CURRENT is a mount point"
  is_data "$CURRENT" || refuse "$CURRENT holds no PG_VERSION"
  same_system "$CURRENT" "$FRESH"
  unused "$CURRENT"
  remember_links "$@"
  if is_empty "$CURRENT"; then
    { rmdir "$CURRENT" && echo "moved=$CURRENT"; } || fail "cannot remove the empty $CURRENT"
  else
    write_signal "$CURRENT"
    unused "$CURRENT"
    move "$CURRENT" "$ASIDE"
    if [ -n "$(postgres_processes "$ASIDE")" ]; then
      mv -T "$ASIDE" "$CURRENT"
      refuse "PostgreSQL was started in $CURRENT at that moment"
    fi
  fi
fi
# The directories that were set aside stay whole: none of them may use what is put in place.
follow_links() {
  for OLD in "$CURRENT".replaced-*; do
    OLD_LINK=$(link_path "$OLD" "$1")
    [ ! -L "$OLD_LINK" ] || [ "$(real_path "$OLD_LINK")" != "$2" ] || relink "$OLD" "$OLD_LINK" "$3"
  done
}
set_linked_aside() {
  if is_copy "$2" || ! is_copy "$3"; then return; fi
  exists "$2" || return 0
  whole "$2"
  ! is_mount "$2" || refuse "$2 is a mount point"
  is_known "$1" "$2" || refuse "$2 is not empty, and no link of the replaced data led there"
  if is_empty "$2"; then
    { rmdir "$2" && echo "moved=$2"; } || fail "cannot remove the empty $2"
    return
  fi
  ! exists "$4" || refuse "$4 exists already"
  follow_links "$1" "$2" "$4"
  move "$2" "$4"
}
each set_linked_aside "$@"
! exists "$CURRENT" || refuse "$CURRENT is still there"
[ ! -d "$ASIDE" ] || echo "aside=$ASIDE"
done_
