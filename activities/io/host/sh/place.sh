#!/bin/sh
# Moves the verified copy to where the data is to be, by rename only. Arguments: LOCK ISSUED DEADLINE ACTOR BIN ID LINKS, then LINK CURRENT
# FRESH ASIDE of every directory, the data directory's (LINK -) first. Prints moved= and linked=.

. lib/act.sh
. lib/moves.sh

BIN=$1 ID=$2 CURRENT=$5 FRESH=$6
shift 7
if is_copy "$CURRENT"; then
  ROOT=$CURRENT
else
  ! exists "$CURRENT" || refuse "$CURRENT is there and is not the copy of rebuild $ID"
  fresh_copy
  ROOT=$FRESH
fi
place_linked() {
  LINK=$(link_path "$ROOT" "$1")
  if [ "$ROOT" = "$CURRENT" ] && [ "$(real_path "$LINK")" = "$2" ] && [ -d "$2" ]; then return; fi
  if is_copy "$2"; then
    :
  elif is_copy "$3"; then
    move "$3" "$2"
  elif [ "$1" != pg_wal ] && [ ! -L "$LINK" ]; then
    return
  else
    refuse "the copy of $2 is neither there nor at $3"
  fi
  [ -L "$LINK" ] || refuse "$LINK is not a link to $2"
  [ "$(readlink "$LINK")" = "$2" ] || {
    unused "$ROOT"
    relink "$ROOT" "$LINK" "$2"
    echo "linked=$LINK"
  }
}
each place_linked "$@"
[ "$ROOT" = "$CURRENT" ] || {
  whole "$FRESH"
  move "$FRESH" "$CURRENT"
}
is_copy "$CURRENT" || fail "$CURRENT is not the copy of rebuild $ID"
done_
