#!/bin/sh
# Removes the marks of a rebuild. Arguments: LOCK ISSUED DEADLINE ACTOR ID LINKS, then LINK CURRENT FRESH ASIDE of every directory.
# The data directory's mark goes last: it is evidence that this is still to do. Prints finished=yes.

. lib/act.sh
. lib/moves.sh

ID=$1 LINKS=$(home_path "$2") CURRENT=$4
shift 2
is_copy "$CURRENT" || done_
unmark_linked() { [ "$2" = "$CURRENT" ] || ! is_copy "$2" || rm -f "$2/$REBUILD_MARK" "$2/$REBUILD_MARK.new"; }
each unmark_linked "$@"
{ rm -f "$LINKS" "$CURRENT/$RESTORED_MARK" && rm "$CURRENT/$REBUILD_MARK" && sync_paths "$CURRENT"; } ||
  fail "cannot remove the mark in $CURRENT"
echo "finished=yes"
done_
