#!/bin/sh
# Reads the configuration files of a stopped server. Arguments: LOCK ISSUED DEADLINE ACTOR DATA SAVED BIN.
# Prints what readFiles() in configuration-files.ts reads; the text of a file as base64.

# shellcheck disable=SC2034 # act.sh reads it
CHANGES=no
. lib/act.sh
. lib/config-change.sh

BIN=$3
enter "$1"
find_sets "$2"
echo "mark=$(mark_of "$REAL")"
echo "set=$LAST"
[ ! -f "$REAL/$AUTO" ] || echo "auto=$(encode <"$REAL/$AUTO")"
[ -z "$LAST" ] || [ ! -f "$LAST/$AUTO" ] || echo "saved=$(encode <"$LAST/$AUTO")"
# postgresql.conf may include others, and Debian keeps it elsewhere.
find_config "$REAL" "$SAVED"
setting() { "$BIN/postgres" -C "$1" -D "$REAL" ${CONF:+-c "config_file=$CONF"} 2>/dev/null 9>&-; }
# PostgreSQL's own answer takes as long as all the rest, and counts only where neither of these files has one.
grep -qs "^primary_conninfo = '[^']" "$REAL/$AUTO" ${LAST:+"$LAST/$AUTO"} || echo "effective=$(setting primary_conninfo | encode)"
echo "slot=$(setting primary_slot_name)"
for name in standby recovery; do
  if exists "$REAL/$name.signal"; then echo "$name=yes"; else echo "$name=no"; fi
done
done_
