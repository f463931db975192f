#!/bin/sh
# A job: pg_basebackup. Arguments: BIN PASSFILE, then pg_basebackup's own. Its words are wanted in English.

. lib/paths.sh

BIN=$1 PGPASSFILE=$(home_path "$2")
shift 2
export LC_ALL=C PGPASSFILE
# --write-recovery-conf would write it into a file.
unset PGPASSWORD
exec "$BIN/pg_basebackup" "$@"
