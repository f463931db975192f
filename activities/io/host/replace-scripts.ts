// Shell that moves data directories of a rebuild on a node: the old ones aside, the verified copy into their place. By rename only.
// Arguments after the preamble's: BIN ID LINKS, then LINK CURRENT FRESH ASIDE of every directory, the data directory's (LINK -) first.

import { freshSuffix, rebuildMarkName } from '../../../domain/facts/data-directory';
import { dataFunctions } from './data-scripts';
import { actPreamble } from './scripts';

/**
 * `each FUNCTION LINK CURRENT FRESH ASIDE ...` calls it for each directory.
 * `mark DIRECTORY`: a linked directory of the copy, so that it can be told from an old one wherever it is.
 * `remove_leftover CURRENT`: the copy beside it, of an earlier rebuild; prints used= when that is not ours to remove now.
 */
export const moveFunctions = `
${dataFunctions}
relink() { # DATA LINK TARGET, at once: a copy without its link would look as if the primary had dropped the tablespace
  rm -f "$1/pgpool-runbook.link" && ln -s "$3" "$1/pgpool-runbook.link" && mv -T "$1/pgpool-runbook.link" "$2" && sync_paths "\${2%/*}" || fail "cannot make the link $2"
}
move() { ! exists "$2" || refuse "$2 exists already"; mv -T "$1" "$2" && sync_paths "$(parent_of "$1")" || fail "cannot rename $1 to $2"; echo "moved=$1"; }
mark() { printf '%s\\n' "$ID" >"$1/${rebuildMarkName}.new" && mv "$1/${rebuildMarkName}.new" "$1/${rebuildMarkName}" && sync_paths "$1" || fail "cannot write into $1"; }
is_copy() { [ -d "$1" ] && [ "$(mark_of "$1")" = "$ID" ]; }
# The first start renames backup_label: a copy that somebody has started is no copy any more.
fresh_copy() {
  is_copy "$FRESH" || refuse "$FRESH is not the verified copy of rebuild $ID"
  [ -f "$FRESH/backup_label" ] || refuse "$FRESH was started by somebody: remove it, so that it is copied anew"
  # Whoever starts it where it will be, starts it read-only.
  [ -e "$FRESH/standby.signal" ] || { : >"$FRESH/standby.signal" && sync_paths "$FRESH/standby.signal"; } || fail "cannot write $FRESH/standby.signal"
}
is_in_use() { [ -n "$(postgres_processes "$1")" ]; }
remove_leftover() {
  OLD=$1${freshSuffix}
  exists "$OLD" || return 0
  [ -d "$OLD" ] && [ ! -L "$OLD" ] && [ -O "$OLD" ] && ! is_mount "$OLD" && ! is_in_use "$OLD" || { echo "used=$OLD"; return 1; }
  wipe "$OLD" && rmdir "$OLD" || fail "cannot remove $OLD"
}
each() { for_each=$1; shift; while [ $# -gt 3 ]; do "$for_each" "$1" "$2" "$3" "$4"; shift 4; done; }
`;

const opening = `
${actPreamble}
${moveFunctions}
BIN=$1 ID=$2 LINKS=$(home_path "$3") CURRENT=$5 FRESH=$6 ASIDE=$7; shift 7
`;

/**
 * Writes LINKS: "LINK CURRENT" of each linked directory that a link of the complete data directory really leads to. It outlives
 * that directory: what the file names are the node's own old directories, and may be moved or emptied, nothing else may.
 */
export const rememberLinks = `
remember_link() { [ "$(real_path "$(link_path "$CURRENT" "$1")")" != "$2" ] || printf '%s %s\\n' "$1" "$2"; }
remember_links() {
  [ -e "$CURRENT/global/pg_control" ] || return 0
  each remember_link "$@" >"$LINKS.new" && mv "$LINKS.new" "$LINKS" && sync_paths "$LINKS" || fail "cannot write $LINKS"
}
is_known() { is_empty "$2" || grep -qxF -e "$1 $2" "$LINKS" 2>/dev/null; }
`;

// The data directory goes first and its copy comes last: in between nothing can be started there, and nothing is half there.
export const setAsideScript = `
${opening}
${rememberLinks}
! is_copy "$CURRENT" || { echo "state=placed"; exit 0; }
fresh_copy
check_copy() {
  LINK=$(link_path "$FRESH" "$1")
  if is_copy "$2" || is_copy "$3"; then return; fi
  if [ ! -L "$LINK" ]; then [ "$1" != pg_wal ] || refuse "$LINK is not a link to $3"; return; fi
  [ "$(real_path "$LINK")" = "$3" ] && [ -d "$3" ] || refuse "$LINK does not lead to $3"
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
  if is_empty "$CURRENT"; then rmdir "$CURRENT" && echo "moved=$CURRENT" || fail "cannot remove the empty $CURRENT"
  else
    # Whoever starts it from now on, where it is or where it will be, starts it read-only.
    [ -e "$CURRENT/standby.signal" ] || { : >"$CURRENT/standby.signal" && sync_paths "$CURRENT/standby.signal"; } || fail "cannot write $CURRENT/standby.signal"
    unused "$CURRENT"
    move "$CURRENT" "$ASIDE"
    if [ -n "$(postgres_processes "$ASIDE")" ]; then mv -T "$ASIDE" "$CURRENT"; refuse "PostgreSQL was started in $CURRENT at that moment"; fi
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
  if is_empty "$2"; then rmdir "$2" && echo "moved=$2" || fail "cannot remove the empty $2"; return; fi
  ! exists "$4" || refuse "$4 exists already"
  follow_links "$1" "$2" "$4"
  move "$2" "$4"
}
each set_linked_aside "$@"
! exists "$CURRENT" || refuse "$CURRENT is still there"
[ ! -d "$ASIDE" ] || echo "aside=$ASIDE"
`;

export const placeScript = `
${opening}
if is_copy "$CURRENT"; then ROOT=$CURRENT
else
  ! exists "$CURRENT" || refuse "$CURRENT is there and is not the copy of rebuild $ID"
  fresh_copy
  ROOT=$FRESH
fi
place_linked() {
  LINK=$(link_path "$ROOT" "$1")
  if [ "$ROOT" = "$CURRENT" ] && [ "$(real_path "$LINK")" = "$2" ] && [ -d "$2" ]; then return; fi
  if is_copy "$2"; then :
  elif is_copy "$3"; then move "$3" "$2"
  elif [ "$1" != pg_wal ] && [ ! -L "$LINK" ]; then return
  else refuse "the copy of $2 is neither there nor at $3"; fi
  [ -L "$LINK" ] || refuse "$LINK is not a link to $2"
  [ "$(readlink "$LINK")" = "$2" ] || { unused "$ROOT"; relink "$ROOT" "$LINK" "$2"; echo "linked=$LINK"; }
}
each place_linked "$@"
[ "$ROOT" = "$CURRENT" ] || { whole "$FRESH"; move "$FRESH" "$CURRENT"; }
is_copy "$CURRENT" || fail "$CURRENT is not the copy of rebuild $ID"
`;
