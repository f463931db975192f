// Shell that removes data on a node: removeFirst's emptying, and what a finished rebuild has set aside. The only code here that destroys.
// Arguments end with LINK CURRENT FRESH ASIDE of every directory, the data directory's (LINK -) first.

import { freshSuffix, rebuildMarkName } from '../../../domain/facts/data-directory';
import { removingMarkName, restoredMarkName } from './data-scripts';
import { moveFunctions, rememberLinks } from './replace-scripts';
import { actPreamble } from './scripts';

/** Arguments: CURRENT. Prints mark= and, when there is nothing in it, empty=yes. */
export const readMarkScript = `
${moveFunctions}
echo "mark=$(mark_of "$1")"
if ! exists "$1" || is_empty "$1"; then echo "empty=yes"; fi
`;

/** A job. Arguments: BIN ID LINKS SAVED VERSION(major) IDENTIFIER(of the primary), then the directories. Empties them in place. */
// Without PG_VERSION no server starts (miscinit.c, ValidatePgVersion), so it goes first, and comes back if somebody was faster.
export const removeScript = `
${moveFunctions}
${rememberLinks}
BIN=$1 ID=$2 LINKS=$(home_path "$3") SAVED=$(home_path "$4") VERSION=$5 IDENTIFIER=$6 CURRENT=$8; shift 10
! is_copy "$CURRENT" || refuse "$CURRENT is the verified copy of this rebuild already"
if exists "$CURRENT"; then
  whole "$CURRENT"
  is_data "$CURRENT" || refuse "$CURRENT holds no PG_VERSION"
  [ ! -f "$CURRENT/PG_VERSION" ] || [ "$(head -n 1 "$CURRENT/PG_VERSION")" = "$VERSION" ] || refuse "$CURRENT is not of PostgreSQL $VERSION"
  if [ -e "$CURRENT/global/pg_control" ]; then
    own=$(identifier_of "$CURRENT")
    [ "$own" = "$IDENTIFIER" ] || refuse "$CURRENT belongs to another cluster, or its control file cannot be read (system identifier \${own:-unknown})"
  fi
  if [ -f "$CURRENT/PG_VERSION" ] && [ -f "$CURRENT/global/pg_control" ] && [ -f "$CURRENT/postgresql.conf" ]; then
    ls "$SAVED" 2>/dev/null | grep -qE '^[0-9]{8}T[0-9]{6}Z' || refuse "the configuration in $CURRENT is not saved in $SAVED"
  fi
  mounts | while IFS= read -r INNER; do case $INNER in "$CURRENT"/*) exit 1;; esac; done || refuse "something is mounted below $CURRENT"
  unused "$CURRENT"
  remember_links "$@"
fi
check_linked() {
  exists "$2" || return 0
  whole "$2"
  is_known "$1" "$2" || refuse "$2 is not empty, and no link of the old data led there"
  NAME=$(strange_name "$1" "$2" "$VERSION"); [ -z "$NAME" ] || refuse "$2/$NAME is not PostgreSQL's own"
}
each check_linked "$@"
# Their room counts as free in the plan.
make_room() { remove_leftover "$2" || refuse "$2${freshSuffix} is in use or is not a plain directory: remove it yourself"; }
make_room - "$CURRENT"
each make_room "$@"
if exists "$CURRENT" && ! is_empty "$CURRENT"; then
  printf '%s\\n' "$ID" >"$CURRENT/${removingMarkName}" && sync_paths "$CURRENT/${removingMarkName}" || fail "cannot write into $CURRENT"
  if [ -f "$CURRENT/PG_VERSION" ]; then
    mv "$CURRENT/PG_VERSION" "$CURRENT/pgpool-runbook.version" && sync_paths "$CURRENT" || fail "cannot write into $CURRENT"
    if [ -n "$(postgres_processes "$CURRENT")" ]; then
      mv "$CURRENT/pgpool-runbook.version" "$CURRENT/PG_VERSION"; rm -f "$CURRENT/${removingMarkName}"
      refuse "PostgreSQL was started in $CURRENT at that moment"
    fi
  fi
  rm -f "$CURRENT/global/pg_control"; sync_paths "$CURRENT"
fi
empty_linked() { ! exists "$2" || { wipe "$2" && echo "emptied=$2"; } || fail "cannot empty $2"; }
each empty_linked "$@"
if exists "$CURRENT"; then
  wipe "$CURRENT" ${removingMarkName} && rm -f "$CURRENT/${removingMarkName}" && sync_paths "$CURRENT" || fail "cannot empty $CURRENT"
  is_empty "$CURRENT" || fail "$CURRENT is not empty"
  echo "emptied=$CURRENT"
fi
`;

/** A job. Arguments: BIN ID KEEP(yes|no), then the directories. Prints removed=, used=, kept= and kilobytes=. */
// What goes is first renamed to the one name that is ours to remove at any time: a half-removed directory never looks kept.
export const clearScript = `
${moveFunctions}
BIN=$1 ID=$2 KEEP=$3 CURRENT=$5; shift 3
case $(mark_of "$CURRENT") in "$ID") ;; "") exit 0;; *) refuse "$CURRENT is the copy of another rebuild";; esac
KEPT=
# Ours: its name ends in a rebuild's id, not newer than this one's; a real directory beside the data, and the ssh user's.
is_aside() {
  AGE=\${1##*.replaced-}
  printf '%s\\n' "\${1##*/}" | grep -qxE '.+[.]replaced-[0-9]{8}T[0-9]{6}Z-[a-z0-9]{8}' || return 1
  [ "$(printf '%s\\n%s\\n' "$AGE" "$ID" | sort | head -n 1)" = "$AGE" ] || return 1
  [ -d "$1" ] && [ ! -L "$1" ] && [ -O "$1" ] && [ "$(real_path "$1")" = "$1" ] && ! is_mount "$1"
}
# The last data that served is kept, not a copy that came after it and was never more than a standby: it holds nothing of its own.
# A former primary that was fenced and came up again is in recovery, too.
is_failed_copy() {
  exists "$1/${rebuildMarkName}" || return 1
  [ ! -f "$1/backup_label" ] || return 0
  read_mark "$1"
  case $MARK in before-promotion|after-return) return 1;; esac
  REAL=$1 control_file | grep -qxE 'state=(shut down in recovery|in archive recovery)'
}
remove() {
  PLACE=\${1%.replaced-*}
  remove_leftover "$PLACE" || return 0
  mv -T "$1" "$PLACE${freshSuffix}" && echo "removed=$1" && remove_leftover "$PLACE" || fail "cannot remove $1"
}
if [ "$KEEP" = yes ]; then
  for OLD in "$CURRENT".replaced-*; do
    if is_aside "$OLD" && [ -f "$OLD/PG_VERSION" ] && ! is_failed_copy "$OLD"; then KEPT=$OLD; fi
  done
fi
for DATA in "$CURRENT".replaced-*; do
  is_aside "$DATA" && is_data "$DATA" && [ "$DATA" != "$KEPT" ] || continue
  if is_in_use "$DATA"; then echo "used=$DATA"; continue; fi
  # What it links to goes first: without it nobody would know.
  for LINK in "$DATA/pg_wal" "$DATA"/pg_tblspc/*; do
    TARGET=$(readlink "$LINK") || continue
    ! is_aside "$TARGET" || remove "$TARGET"
  done
  remove "$DATA"
done
remove_leftover "$CURRENT"
each_leftover() { remove_leftover "$2"; }
each each_leftover "$@"
[ -z "$KEPT" ] || {
  KILOBYTES=0
  for PART in "$KEPT" "$KEPT/pg_wal" "$KEPT"/pg_tblspc/*; do
    [ "$PART" = "$KEPT" ] || [ -L "$PART" ] || continue
    TAKEN=$(timeout 60 du -skx "$PART/" 2>/dev/null | tail -n 1 | cut -f 1); KILOBYTES=$(( KILOBYTES + \${TAKEN:-0} ))
  done
  echo "kept=$KEPT"; echo "kilobytes=$KILOBYTES"
}
`;

/** Arguments after the preamble's: ID LINKS, then the directories. The marks go, the data directory's last: it is evidence that this is still to do. */
export const finishScript = `
${actPreamble}
${moveFunctions}
ID=$1 LINKS=$(home_path "$2") CURRENT=$4; shift 2
is_copy "$CURRENT" || exit 0
unmark_linked() { [ "$2" = "$CURRENT" ] || ! is_copy "$2" || rm -f "$2/${rebuildMarkName}" "$2/${rebuildMarkName}.new"; }
each unmark_linked "$@"
rm -f "$LINKS" "$CURRENT/${restoredMarkName}" && rm "$CURRENT/${rebuildMarkName}" && sync_paths "$CURRENT" || fail "cannot remove the mark in $CURRENT"
echo "finished=yes"
`;
