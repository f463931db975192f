// Shell about the fresh copy of a rebuild: what is there, making room for it, removing one that is of no use. And the two jobs.
// A base backup is complete when backup_manifest is there: pg_basebackup renames it last, after everything is synced to disk.

import { freshSuffix, rebuildMarkName } from '../../../domain/facts/data-directory';
import { jobFunctions } from './job-scripts';
import { actPreamble, homePathFunction, processFunctions } from './scripts';

/**
 * Arguments after the preamble's: ACTION JOBS COPY VERIFY ID MODE WROTE CURRENT, then every FRESH, the data directory's first.
 * ACTION look changes nothing; prepare removes what is there unless it is of use; discard removes what pg_verifybackup rejected.
 * COPY and VERIFY are the names of the jobs, WROTE=yes: COPY has run. Prints state= and job= (COPY's); exit 3 = refused, seen= says why.
 */
export const freshCopyScript = `
${actPreamble}
${jobFunctions}
${processFunctions}
ACTION=$1 JOBS=$(home_path "$2") ID=$5 MODE=$6 WROTE=$7 CURRENT=$8 NAME=$3; COPY=$JOBS/$3 VERIFY=$JOBS/$4; shift 8
FRESH=$1
refuse() { echo "seen=$1"; exit 3; }
say() { echo "state=$1"; echo "job=$STATE"; exit 0; }
is_marked() { [ "$(cat "$1/${rebuildMarkName}" 2>/dev/null)" = "$ID" ]; }
STATE=$(job_state "$COPY")
is_marked "$FRESH" && say marked
is_marked "$CURRENT" && say marked
case $STATE in running) say running;; unknown) refuse "the lock of $COPY cannot be read";; esac
[ "$STATE" != absent ] && [ -f "$FRESH/backup_manifest" ] && IS_COMPLETE=yes || IS_COMPLETE=no
case $ACTION in
  look) [ "$IS_COMPLETE" = yes ] && say complete; say incomplete;;
  prepare) [ "$IS_COMPLETE" = yes ] && say complete;;
  discard)
    [ "$(job_state "$VERIFY")" != running ] || say complete
    [ "$(cat "$VERIFY/rc" 2>/dev/null)" = 1 ] || { remove_job "$VERIFY"; say complete; };;
esac
# Names of rebuilds sort by age. All of them write to the same places, and the newest is right.
NEWEST=$({ ls "$JOBS" 2>/dev/null; echo "$NAME"; } | grep '^base-backup-' | LC_ALL=C sort | tail -n 1)
[ "$NEWEST" = "$NAME" ] || refuse "a newer rebuild has begun here ($NEWEST)"
[ "$STATE" = absent ] || WROTE=yes
# A mount point's name shows blanks as \\\\040.
holds_mount() { AT=$1 awk '{ at = $5; gsub(/\\\\040/, " ", at) } index(at "/", ENVIRON["AT"]) == 1 { found = 1 } END { exit !found }' /proc/self/mountinfo; }
check() {
  [ ! -L "$1" ] || refuse "$1 is a symbolic link"
  [ -e "$1" ] || return 0
  REAL=$(cd "$1" && pwd -P) || refuse "$1 cannot be entered"
  if [ "$MODE" = sibling ]; then
    case $1 in *${freshSuffix}) ;; *) refuse "$1 is not named like a fresh copy of ours";; esac
    ! holds_mount "$REAL/" || refuse "something is mounted at or below $1"
  else
    [ -n "$(ls -A "$1")" ] || return 0
    [ "$WROTE" = yes ] || refuse "$1 is not empty, and no base backup of this rebuild has written into it"
    for PART in "$REAL"/* "$REAL"/.[!.]*; do ! holds_mount "$PART/" || refuse "something is mounted at $PART"; done
  fi
  [ -z "$(postgres_processes "$REAL")" ] || refuse "PostgreSQL works in $1"
  # pg_basebackup brings neither (backup/basebackup.c, excludeFiles). The second stays from the first start on.
  [ ! -e "$1/postmaster.pid" ] || refuse "$1 was started: it has a postmaster.pid; stop it and remove $1"
  [ "$MODE" = sibling ] || [ ! -e "$1/postmaster.opts" ] || refuse "$1 was started: it has a postmaster.opts; stop it, look whether it took writes, and empty $1"
}
for PLACE in "$@"; do check "$PLACE"; done
# removeFirst writes into the directory itself, which may be a mount point, or have a parent of root's.
for PLACE in "$@"; do
  if [ ! -e "$PLACE" ]; then :
  elif [ "$MODE" = sibling ]; then rm -rf --one-file-system -- "$PLACE"
  else find "$PLACE" -xdev -mindepth 1 -delete; fi || exit 1
done
# Last, because they are the evidence that what was there was ours.
remove_job "$VERIFY" && remove_job "$COPY" || exit 1
say cleared
`;

/** Arguments: BIN PASSFILE, then pg_basebackup's own. Its words are wanted in English. */
export const baseBackupScript = `
${homePathFunction}
BIN=$1 PGPASSFILE=$(home_path "$2"); shift 2
export LC_ALL=C PGPASSFILE
# --write-recovery-conf would write it into a file.
unset PGPASSWORD
exec "$BIN/pg_basebackup" "$@"
`;

/** Arguments: BIN FRESH ID. Marks what it has found right. Exit 1 = pg_verifybackup says no; 4 = cannot mark; 5 = cannot verify. */
export const verifyBackupScript = `
BIN=$1 FRESH=$2 ID=$3 MARK=$2/${rebuildMarkName}
export LC_ALL=C
for PROGRAM in pg_verifybackup pg_waldump; do [ -x "$BIN/$PROGRAM" ] || { echo "$BIN/$PROGRAM cannot be run: correct postgres.bin, or install it"; exit 5; }; done
# Of an earlier try: it would be taken for a file that was not copied.
rm -f "$MARK.new"
"$BIN/pg_verifybackup" --exit-on-error "$FRESH" || exit
umask 077
# Whoever starts the copy starts it read-only.
[ -e "$FRESH/standby.signal" ] || : >"$FRESH/standby.signal" && sync "$FRESH/standby.signal" || exit 4
echo "$ID" >"$MARK.new" && sync "$MARK.new" && mv "$MARK.new" "$MARK" && sync "$FRESH" || exit 4
`;

/** Arguments after the preamble's: DATA, then NAMEs of files of ours in it that are left over. */
export const removeLeftoverMarksScript = `
${actPreamble}
cd "$1" && shift && rm -f -- "$@" && sync .
`;
