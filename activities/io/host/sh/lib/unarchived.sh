#!/bin/sh
# Goes to pg_wal of the data directory $1; ends well where there is nothing to archive, and fails where that cannot be told.
# PostgreSQL marks each file that its archiver is still to archive by archive_status/NAME.ready in pg_wal
# (PostgreSQL documentation, 26.3.1 Setting Up WAL Archiving).

. lib/answer.sh
. lib/paths.sh

DATA=$1
[ -d "$DATA/pg_wal/archive_status" ] || {
  [ -d "$DATA/pg_wal" ] || [ ! -e "$DATA/PG_VERSION" ] || fail "there is no pg_wal in $DATA"
  done_
}
{ cd "$DATA/pg_wal" && ls archive_status >/dev/null; } || fail "$DATA/pg_wal cannot be read"
# The names of what is still to be archived.
ready_names() {
  for READY in archive_status/*.ready; do
    NAME=${READY#archive_status/} NAME=${NAME%.ready}
    [ ! -f "$NAME" ] || echo "$NAME"
  done
}
