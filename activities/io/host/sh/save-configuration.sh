#!/bin/sh
# Saves the configuration files of a data directory as a set, and keeps the five newest.
# Arguments: LOCK ISSUED DEADLINE ACTOR DATA SAVED JOBS. Prints set= (a path, or nothing), saved= or skipped=, left=.

. lib/act.sh
. lib/config-sets.sh

DATA=$1 JOBS=$(home_path "$3") KEPT_SETS=5
umask 077
find_sets "$2"
keep_last() {
  echo "skipped=$1"
  echo "set=$LAST"
  done_
}
REAL=$(cd "$DATA" 2>/dev/null && pwd -P) || keep_last "there is no data directory at $DATA"
echo "mark=$(mark_of "$REAL")"
! exists "$REAL/$REBUILD_MARK" || keep_last "$DATA is an unfinished fresh copy"
# A copy is brought with backup_label, and without postmaster.opts, which stays from the first start on: until then its files
# are those of another node. A directory whose removal was begun lacks anything.
! exists "$REAL/backup_label" || keep_last "$DATA is a copy that was never started (backup_label)"
for name in PG_VERSION global/pg_control postmaster.opts; do exists "$REAL/$name" || keep_last "$DATA has no $name"; done
# Once it is started, which renames backup_label, a copy that was not verified looks like the node's own data.
for job in "$JOBS"/base-backup-*; do
  [ -z "$(find "$REAL/backup_label.old" -newer "$job/script" 2>/dev/null)" ] ||
    keep_last "a rebuild that has not ended may have written into $DATA (${job##*/})"
done
[ -z "$LAST" ] || for name in postgresql.conf pg_hba.conf; do
  ! exists "$LAST/$name" || exists "$REAL/$name" || keep_last "$DATA has lost its $name"
done
mkdir -p "$SAVED" || fail "$SAVED cannot be made"
case "$(real_path "$SAVED")/" in
  "$REAL"/*) wrong "$SAVED lies inside the data directory: change paths.savedConfiguration" ;;
esac
for old in "$SAVED"/.tmp-*; do discard "$old"; done
# For the first start of the next copy, which has no postmaster.opts.
find_config "$REAL" "$SAVED"
if [ -z "$CONF" ]; then
  rm -f "$SAVED/config-file"
elif [ "$(cat "$SAVED/config-file" 2>/dev/null)" != "$CONF" ]; then
  { say "$CONF" >"$SAVED/config-file.new" && mv "$SAVED/config-file.new" "$SAVED/config-file" && sync "$SAVED"; } || fail "cannot write $SAVED/config-file"
fi
ENTRIES=$(list_entries "$REAL") || exit 1
print_left
if [ -n "$LAST" ] && [ "$(kept | fingerprint "$REAL")" = "$(names_in "$LAST" | fingerprint "$LAST")" ]; then
  echo "set=$LAST"
  done_
fi
NAME=$(date -u +%Y%m%dT%H%M%SZ)
# The newest by name, also within one second or after the clock went back.
[ "$(printf '%s\n' "$NAME" "${LAST##*/}" | sort | tail -n 1)" != "${LAST##*/}" ] || NAME=${LAST##*/}.1
NEW=$SAVED/.tmp-$NAME
mkdir "$NEW" || fail "$NEW cannot be made"
IFS=$NL
set -f
for name in $(kept); do
  # A file that was removed while we copied is not configuration.
  cp -pPR "$REAL/$name" "$NEW/$name" || ! exists "$REAL/$name" || {
    discard "$NEW"
    fail "cannot copy $REAL/$name"
  }
done
{ sync_tree "$NEW" && mv "$NEW" "$SAVED/$NAME" && sync "$SAVED"; } || fail "cannot put $SAVED/$NAME in place"
for old in $(list_sets | tail -n +$((KEPT_SETS + 1))); do discard "$SAVED/$old"; done
echo "saved=$(names_in "$SAVED/$NAME" | wc -l)"
echo "set=$SAVED/$NAME"
done_
