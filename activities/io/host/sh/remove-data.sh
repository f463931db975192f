#!/bin/sh
# A job: empties the data directories in place (removeFirst). Arguments: BIN ID LINKS SAVED VERSION(major) IDENTIFIER(of the
# primary), then LINK CURRENT FRESH ASIDE of every directory, the data directory's (LINK -) first. Prints emptied=.
# Without PG_VERSION no server starts (miscinit.c, ValidatePgVersion), so it goes first, and comes back if somebody was faster.

. lib/moves.sh
. lib/links.sh

BIN=$1 ID=$2 LINKS=$(home_path "$3") SAVED=$(home_path "$4") VERSION=$5 IDENTIFIER=$6 CURRENT=$8
shift 10
! is_copy "$CURRENT" || refuse "$CURRENT is the verified copy of this rebuild already"
if exists "$CURRENT"; then
  whole "$CURRENT"
  is_data "$CURRENT" || refuse "$CURRENT holds no PG_VERSION"
  [ ! -f "$CURRENT/PG_VERSION" ] || [ "$(head -n 1 "$CURRENT/PG_VERSION")" = "$VERSION" ] ||
    refuse "$CURRENT is not of PostgreSQL $VERSION"
  if [ -e "$CURRENT/global/pg_control" ]; then
    own=$(identifier_of "$CURRENT")
    [ "$own" = "$IDENTIFIER" ] ||
      refuse "$CURRENT belongs to another cluster, or its control file cannot be read (system identifier ${own:-unknown})"
  fi
  if [ -f "$CURRENT/PG_VERSION" ] && [ -f "$CURRENT/global/pg_control" ] && [ -f "$CURRENT/postgresql.conf" ]; then
    names_in "$SAVED" | grep -qE '^[0-9]{8}T[0-9]{6}Z' || refuse "the configuration in $CURRENT is not saved in $SAVED"
  fi
  mounts | while IFS= read -r INNER; do
    case $INNER in "$CURRENT"/*) exit 1 ;; esac
  done || refuse "something is mounted below $CURRENT"
  unused "$CURRENT"
  remember_links "$@"
fi
check_linked() {
  exists "$2" || return 0
  whole "$2"
  is_known "$1" "$2" || refuse "$2 is not empty, and no link of the old data led there"
  NAME=$(strange_name "$1" "$2" "$VERSION")
  [ -z "$NAME" ] || refuse "$2/$NAME is not PostgreSQL's own"
}
each check_linked "$@"
# The room of earlier copies counts as free in the plan.
make_room() { remove_leftover "$2" || refuse "$2$FRESH_SUFFIX is in use or is not a plain directory: remove it yourself"; }
make_room - "$CURRENT"
each make_room "$@"
if exists "$CURRENT" && ! is_empty "$CURRENT"; then
  { printf '%s\n' "$ID" >"$CURRENT/$REMOVING_MARK" && sync_paths "$CURRENT/$REMOVING_MARK"; } || fail "cannot write into $CURRENT"
  if [ -f "$CURRENT/PG_VERSION" ]; then
    { mv "$CURRENT/PG_VERSION" "$CURRENT/pgpool-runbook.version" && sync_paths "$CURRENT"; } || fail "cannot write into $CURRENT"
    if [ -n "$(postgres_processes "$CURRENT")" ]; then
      mv "$CURRENT/pgpool-runbook.version" "$CURRENT/PG_VERSION"
      rm -f "$CURRENT/$REMOVING_MARK"
      refuse "PostgreSQL was started in $CURRENT at that moment"
    fi
  fi
  rm -f "$CURRENT/global/pg_control"
  sync_paths "$CURRENT"
fi
empty_linked() { ! exists "$2" || { wipe "$2" && echo "emptied=$2"; } || fail "cannot empty $2"; }
each empty_linked "$@"
if exists "$CURRENT"; then
  { wipe "$CURRENT" "$REMOVING_MARK" && rm -f "$CURRENT/$REMOVING_MARK" && sync_paths "$CURRENT"; } || fail "cannot empty $CURRENT"
  is_empty "$CURRENT" || fail "$CURRENT is not empty"
  echo "emptied=$CURRENT"
fi
done_
