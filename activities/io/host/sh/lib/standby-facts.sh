#!/bin/sh
# Reads from a node's files what they say about its WAL, and about what its standbys and its commits need. Of $REAL; needs BIN.

# needed_settings: what a standby needs at least of these settings (PostgreSQL documentation, 27.4.3 Administrator's Overview),
# as its control file has it from the primary. The names there are not those of the settings.
needed_settings() {
  LC_ALL=C "$BIN/pg_controldata" "$REAL" 2>/dev/null | sed -n \
    -e 's/^max_connections setting: */needed_max_connections=/p;s/^max_worker_processes setting: */needed_max_worker_processes=/p' \
    -e 's/^max_wal_senders setting: */needed_max_wal_senders=/p;s/^max_prepared_xacts setting: */needed_max_prepared_transactions=/p' \
    -e 's/^max_locks_per_xact setting: */needed_max_locks_per_transaction=/p'
}

# wal_timeline: the newest timeline of which there is a WAL segment: their names sort by it. Without a program.
wal_timeline() {
  for NEWEST in "$REAL"/pg_wal/????????????????????????; do :; done
  NEWEST=${NEWEST##*/}
  echo "wal_timeline=${NEWEST%????????????????}"
}

# names SECONDS: synchronous_standby_names as PostgreSQL reads the files. Debian keeps postgresql.conf elsewhere; the start of the
# postmaster says where. From /, so that it is not taken for a process of the data directory, which may be this user's home.
names() {
  CONF=$(sed -n 's/.*"config_file=\([^"]*\)".*/\1/p' "$REAL/postmaster.opts" 2>/dev/null)
  cd / &&
    NAMES=$(timeout "$1" "$BIN/postgres" -C synchronous_standby_names -D "$REAL" ${CONF:+-c "config_file=$CONF"} 2>/dev/null) &&
    echo "names=$NAMES"
}
