#!/bin/sh
# Puts a node's own configuration back into its fresh copy, once only, and proves what it wrote.
# Arguments: LOCK ISSUED DEADLINE ACTOR DATA ID SET(a path, or nothing) AUTO(base64). Prints changed=, left=.

. lib/act.sh
. lib/config-change.sh

ID=$2 SET=$3 WANTED=$4
enter "$1"
[ "$(mark_of "$REAL")" = "$ID" ] || refuse "$1 is not the fresh copy of rebuild $ID"
umask 077
CHANGED=no DONE=$REAL/$RESTORED_MARK
ENTRIES=$(list_entries "$REAL") || exit 1
[ "$(cat "$DONE" 2>/dev/null)" != "$ID" ] || {
  print_left
  echo "changed=no"
  done_
}
others() { grep -vxF "$AUTO"; }
IFS=$NL
set -f
if [ -n "$SET" ]; then
  [ -d "$SET" ] || fail "$SET is gone"
  OURS=$(names_in "$SET" | others)
  WANTED_FILES=$(say "$OURS" | fingerprint "$SET")
  if [ "$(kept | others | fingerprint "$REAL")" != "$WANTED_FILES" ]; then
    CHANGED=yes
    for name in $(kept | others); do exists "$SET/$name" || discard "$REAL/$name" || fail "cannot remove $REAL/$name"; done
    for name in $OURS; do { cp -pPR "$SET/$name" "$NEW" && put "$name"; } || fail "cannot write $REAL/$name"; done
  fi
fi
if [ ! -f "$REAL/$AUTO" ] || [ "$(encode <"$REAL/$AUTO")" != "$WANTED" ]; then
  CHANGED=yes
  put_auto "$WANTED" || fail "cannot write $REAL/$AUTO"
fi
sync "$REAL" || fail "cannot sync $REAL"
ENTRIES=$(list_entries "$REAL") || exit 1
print_left
[ -z "$SET" ] || [ "$(kept | others | fingerprint "$REAL")" = "$WANTED_FILES" ] || fail "$REAL differs from $SET"
[ "$(encode <"$REAL/$AUTO")" = "$WANTED" ] || fail "$REAL/$AUTO is not as written"
{ say "$ID" >"$DONE.new" && sync "$DONE.new" && mv "$DONE.new" "$DONE" && sync "$REAL"; } || fail "cannot write $DONE"
echo "changed=$CHANGED"
done_
