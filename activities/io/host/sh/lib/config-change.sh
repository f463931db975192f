#!/bin/sh
# Changing the configuration files of a stopped server. postgresql.auto.conf travels as base64: it may hold a password, and bytes
# of any encoding.

. lib/config-sets.sh

encode() { base64 | tr -d '\n'; }
enter() {
  REAL=$(cd "$1" 2>/dev/null && pwd -P) || refuse "there is no data directory at $1"
  # Other users' processes cannot be looked into: "none" would prove nothing.
  whole "$REAL"
  unused "$REAL"
  NEW=$REAL/pgpool-runbook.new
  discard "$NEW"
}
# put NAME: NEW becomes that entry. Over a directory, or a link to one, nothing can be renamed in one go.
put() {
  if [ -d "$REAL/$1" ] || { [ -d "$NEW" ] && exists "$REAL/$1"; }; then discard "$REAL/$1"; fi
  sync_tree "$NEW" && mv -f "$NEW" "$REAL/$1"
}
put_auto() { printf %s "$1" | base64 -d >"$NEW" && chmod 600 "$NEW" && put "$AUTO"; }
