#!/bin/sh
# Data directories of a rebuild: telling the copy from the rest, renaming, linking. Needs BIN ID CURRENT FRESH.
# The arguments end with LINK CURRENT FRESH ASIDE of every directory, the data directory's (LINK -) first.

. lib/data.sh

# relink DATA LINK TARGET, at once: a copy without its link would look as if the primary had dropped the tablespace.
relink() {
  new=$1/pgpool-runbook.link
  { rm -f "$new" && ln -s "$3" "$new" && mv -T "$new" "$2" && sync_paths "${2%/*}"; } || fail "cannot make the link $2"
}
move() {
  ! exists "$2" || refuse "$2 exists already"
  { mv -T "$1" "$2" && sync_paths "$(parent_of "$1")"; } || fail "cannot rename $1 to $2"
  echo "moved=$1"
}
# mark DIRECTORY: a linked directory of the copy, so that it can be told from an old one wherever it is.
mark() {
  new=$1/$REBUILD_MARK.new
  { printf '%s\n' "$ID" >"$new" && mv "$new" "$1/$REBUILD_MARK" && sync_paths "$1"; } || fail "cannot write into $1"
}
is_copy() { [ -d "$1" ] && [ "$(mark_of "$1")" = "$ID" ]; }
# write_signal DIRECTORY: whoever starts it, where it is or where it will be, starts it read-only.
write_signal() {
  [ -e "$1/standby.signal" ] || { true >"$1/standby.signal" && sync_paths "$1/standby.signal"; } || fail "cannot write $1/standby.signal"
}
# The first start renames backup_label: a copy that somebody has started is no copy any more.
fresh_copy() {
  is_copy "$FRESH" || refuse "$FRESH is not the verified copy of rebuild $ID"
  [ -f "$FRESH/backup_label" ] || refuse "$FRESH was started by somebody: remove it, so that it is copied anew"
  write_signal "$FRESH"
}
is_in_use() { [ -n "$(postgres_processes "$1")" ]; }
# remove_leftover CURRENT: the copy beside it, of an earlier rebuild; prints used= when that is not ours to remove now.
remove_leftover() {
  OLD=$1$FRESH_SUFFIX
  exists "$OLD" || return 0
  if [ ! -d "$OLD" ] || [ -L "$OLD" ] || [ ! -O "$OLD" ] || is_mount "$OLD" || is_in_use "$OLD"; then
    echo "used=$OLD"
    return 1
  fi
  { wipe "$OLD" && rmdir "$OLD"; } || fail "cannot remove $OLD"
}
# each FUNCTION LINK CURRENT FRESH ASIDE ...: calls it for each directory.
each() {
  for_each=$1
  shift
  while [ $# -gt 3 ]; do
    "$for_each" "$1" "$2" "$3" "$4"
    shift 4
  done
}
