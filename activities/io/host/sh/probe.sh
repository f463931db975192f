#!/bin/sh
# Asks another node from this one. Arguments: BIN HOST PORT USER DATABASE PASSFILE SECONDS SSLMODE SSLROOTCERT(may be empty).
# Prints exit=, psql's status, and said=: each line that it wrote, t or f (in recovery?) or its error.

. lib/answer.sh
. lib/paths.sh

BIN=$1 HOST=$2 PORT=$3 PGUSER=$4 DATABASE=$5 PGPASSFILE=$(home_path "$6")
PGSSLMODE=$8 PGSSLROOTCERT=$9
export PGUSER PGPASSFILE PGSSLMODE PGSSLROOTCERT PGCONNECT_TIMEOUT=2 LC_ALL=C PGOPTIONS='-c lc_messages=C'
SAID=$(timeout -k 1 "$7" "$BIN/psql" -XAtwq -h "$HOST" -p "$PORT" -d "$DATABASE" -v VERBOSITY=sqlstate -c 'select pg_is_in_recovery()' </dev/null 2>&1)
echo "exit=$?"
while IFS= read -r LINE; do printf 'said=%s\n' "$LINE"; done <<SAID
$SAID
SAID
done_
