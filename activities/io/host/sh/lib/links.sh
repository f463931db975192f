#!/bin/sh
# The file $LINKS: "LINK CURRENT" of each linked directory that a link of the complete data directory really leads to.
# The file outlives that directory: what it names are the node's own old directories, and may be moved or emptied, nothing else may.

remember_link() { [ "$(real_path "$(link_path "$CURRENT" "$1")")" != "$2" ] || printf '%s %s\n' "$1" "$2"; }
remember_links() {
  [ -e "$CURRENT/global/pg_control" ] || return 0
  { each remember_link "$@" >"$LINKS.new" && mv "$LINKS.new" "$LINKS" && sync_paths "$LINKS"; } || fail "cannot write $LINKS"
}
is_known() { is_empty "$2" || grep -qxF -e "$1 $2" "$LINKS" 2>/dev/null; }
