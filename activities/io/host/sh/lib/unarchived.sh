#!/bin/sh
# Goes to pg_wal of the data directory $1; ends well where there is nothing to archive, and with 4 where it cannot tell.
# PostgreSQL marks each file that its archiver is still to archive by archive_status/NAME.ready in pg_wal
# (PostgreSQL documentation, 26.3.1 Setting Up WAL Archiving).

. lib/paths.sh

DATA=$1
[ -d "$DATA/pg_wal/archive_status" ] || {
  [ -d "$DATA/pg_wal" ] || [ ! -e "$DATA/PG_VERSION" ]
  exit
}
{ cd "$DATA/pg_wal" && ls archive_status >/dev/null; } || exit 4
# The names of what is still to be archived.
ready_names() {
  for READY in archive_status/*.ready; do
    NAME=${READY#archive_status/} NAME=${NAME%.ready}
    [ ! -f "$NAME" ] || echo "$NAME"
  done
}
