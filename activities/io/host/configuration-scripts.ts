// Shell for the configuration files inside a data directory: saved in sets, put back, adapted. Each opens with actPreamble.
// They print KEY=value lines. postgresql.auto.conf travels as base64: it may hold a password, and bytes of any encoding.

import { rebuildMarkName } from '../../../domain/facts/data-directory';
import { dataFunctions, restoredMarkName } from './data-scripts';
import { actPreamble, configFunction } from './scripts';

/** Exit status: the cluster file is wrong; `refused=` says why. */
export const misconfiguredStatus = 4;

/** Sets that are kept for each node. */
const keptSets = 5;
/** Larger entries are dumps, core files or data of an extension, not configuration. */
const largestKilobytes = 16 * 1024;

// What pg_basebackup and pg_rewind leave out or make anew (backup/basebackup.c, pg_rewind/filemap.c), what initdb makes, what
// lies about, and what is ours. Directories pg_something and orioledb_something are extensions' data.
const listFunctions = `
${dataFunctions}
${configFunction}
AUTO=postgresql.auto.conf TAB='\t' NL='
'
say() { printf '%s\\n' "$1"; }
# Of a data directory: "keep NAME" is configuration, "left NAME (why)" might be.
list_entries() (
  cd "$1" && set +f || exit 1
  OWN=/
  for link in pg_tblspc/*; do
    target=$(cd "$link" 2>/dev/null && pwd -P) || continue
    case $target in "$1"/*) target=\${target#"$1"/}; OWN="$OWN\${target%%/*}/";; esac
  done
  set --
  for name in * .[!.]* ..?*; do
    case $name in
      *"$NL"*) continue;;
      PG_VERSION|base|global|pg_commit_ts|pg_dynshmem|pg_logical|pg_multixact|pg_notify|pg_replslot|pg_serial) continue;;
      pg_snapshots|pg_stat|pg_stat_tmp|pg_subtrans|pg_tblspc|pg_twophase|pg_wal|pg_xact|pg_upgrade_output.d) continue;;
      postmaster.*|backup_label*|tablespace_map*|backup_manifest*|current_logfiles*|logrotate|promote) continue;;
      fallback_promote|*.signal|recovery.done|recovery.conf|"$AUTO.tmp"|pg_internal.init*|pgsql_tmp*|.s.PGSQL.*) continue;;
      log|logs|pg_log|*.log|*.pid|core|core.[0-9]*|tmp_check|lost+found|pgpool-runbook.*) continue;;
      pg_*.*) ;;
      pg_*|orioledb_*) [ ! -d "$name" ] || continue;;
    esac
    case $OWN in *"/$name/"*) continue;; esac
    [ -f "$name" ] || [ -d "$name" ] || [ -L "$name" ] || continue
    if [ ! -L "$name" ] && [ ! -r "$name" ]; then say "left $name (unreadable)"; else set -- "$@" "./$name"; fi
  done
  # -l: a second link to a file is an entry, too. What was removed meanwhile is not listed, and status 1; more is no listing.
  [ $# -gt 0 ] || exit 0
  SIZES=$(du -skl -- "$@" 2>/dev/null)
  [ $? -le 1 ] || fail "du failed in $PWD"
  say "$SIZES" | while IFS=$TAB read -r size name; do
    [ -n "$name" ] || continue
    if [ "$size" -gt ${largestKilobytes} ]; then say "left \${name#./} (larger than 16 MiB)"; else say "keep \${name#./}"; fi
  done
)
kept() { say "$ENTRIES" | sed -n 's/^keep //p'; }
print_left() { say "$ENTRIES" | sed -n 's/^left /left=/p'; }
# Names on stdin. Types, modes, link targets and contents: equal text means equal entries.
fingerprint() ( cd "$1" || exit 1
  set --
  while IFS= read -r name; do [ -z "$name" ] || set -- "$@" "./$name"; done
  [ $# = 0 ] || { find "$@" -exec stat -c '%f %N' {} +; find "$@" -type f -exec sha256sum {} +; } 2>/dev/null | sort )
discard() { [ -L "$1" ] || chmod -R u+w "$1" 2>/dev/null; rm -rf "$1"; }
sync_tree() { [ -L "$1" ] || find "$1" \\( -type f -o -type d \\) -exec sync {} +; }
find_sets() { SAVED=$(home_path "$1"); LAST=$(list_sets | head -n 1); LAST=\${LAST:+$SAVED/$LAST}; }
list_sets() { ls "$SAVED" 2>/dev/null | grep -E '^[0-9]{8}T[0-9]{6}Z(\\.1)*$' | sort -r; }
`;

/** Arguments after the preamble's: DATA SAVED JOBS. Prints set= (a path, or nothing), saved= or skipped=, left=. */
export const saveScript = `
${actPreamble}
DATA=$1
${listFunctions}
JOBS=$(home_path "$3")
umask 077
find_sets "$2"
keep_last() { echo "skipped=$1"; echo "set=$LAST"; exit 0; }
REAL=$(cd "$DATA" 2>/dev/null && pwd -P) || keep_last "there is no data directory at $DATA"
echo "mark=$(mark_of "$REAL")"
! exists "$REAL/${rebuildMarkName}" || keep_last "$DATA is an unfinished fresh copy"
# A copy is brought with backup_label, and without postmaster.opts, which stays from the first start on: until then its files
# are those of another node. A directory whose removal was begun lacks anything.
! exists "$REAL/backup_label" || keep_last "$DATA is a copy that was never started (backup_label)"
for name in PG_VERSION global/pg_control postmaster.opts; do exists "$REAL/$name" || keep_last "$DATA has no $name"; done
# Once it is started, which renames backup_label, a copy that was not verified looks like the node's own data.
for job in "$JOBS"/base-backup-*; do
  [ -z "$(find "$REAL/backup_label.old" -newer "$job/script" 2>/dev/null)" ] || keep_last "a rebuild that has not ended may have written into $DATA (\${job##*/})"
done
[ -z "$LAST" ] || for name in postgresql.conf pg_hba.conf; do
  ! exists "$LAST/$name" || exists "$REAL/$name" || keep_last "$DATA has lost its $name"
done
mkdir -p "$SAVED" || exit 1
case "$(real_path "$SAVED")/" in "$REAL"/*)
  echo "refused=$SAVED lies inside the data directory: change paths.savedConfiguration"; exit ${misconfiguredStatus};;
esac
for old in "$SAVED"/.tmp-*; do discard "$old"; done
# For the first start of the next copy, which has no postmaster.opts.
find_config "$REAL" "$SAVED"
if [ -z "$CONF" ]; then rm -f "$SAVED/config-file"
elif [ "$(cat "$SAVED/config-file" 2>/dev/null)" != "$CONF" ]; then
  say "$CONF" >"$SAVED/config-file.new" && mv "$SAVED/config-file.new" "$SAVED/config-file" && sync "$SAVED" || exit 1
fi
ENTRIES=$(list_entries "$REAL") || exit 1
print_left
if [ -n "$LAST" ] && [ "$(kept | fingerprint "$REAL")" = "$(ls -A "$LAST" | fingerprint "$LAST")" ]; then echo "set=$LAST"; exit 0; fi
NAME=$(date -u +%Y%m%dT%H%M%SZ)
# The newest by name, also within one second or after the clock went back.
[ "$(printf '%s\\n' "$NAME" "\${LAST##*/}" | sort | tail -n 1)" != "\${LAST##*/}" ] || NAME=\${LAST##*/}.1
NEW=$SAVED/.tmp-$NAME
mkdir "$NEW" || exit 1
IFS=$NL; set -f
for name in $(kept); do
  # What was removed while we copied is not configuration.
  cp -pPR "$REAL/$name" "$NEW/$name" || ! exists "$REAL/$name" || { discard "$NEW"; exit 1; }
done
sync_tree "$NEW" && mv "$NEW" "$SAVED/$NAME" && sync "$SAVED" || exit 1
for old in $(list_sets | tail -n +${keptSets + 1}); do discard "$SAVED/$old"; done
echo "saved=$(ls -A "$SAVED/$NAME" | wc -l)"; echo "set=$SAVED/$NAME"
`;

const stoppedFunctions = `
${listFunctions}
encode() { base64 | tr -d '\\n'; }
enter() {
  REAL=$(cd "$1" 2>/dev/null && pwd -P) || refuse "there is no data directory at $1"
  # Other users' processes cannot be looked into: "none" would prove nothing.
  whole "$REAL"
  unused "$REAL"
  NEW=$REAL/pgpool-runbook.new; discard "$NEW"
}
# Over a directory, or a link to one, nothing can be renamed in one go.
put() {
  if [ -d "$REAL/$1" ] || { [ -d "$NEW" ] && exists "$REAL/$1"; }; then discard "$REAL/$1"; fi
  sync_tree "$NEW" && mv -f "$NEW" "$REAL/$1"
}
put_auto() { printf %s "$1" | base64 -d >"$NEW" && chmod 600 "$NEW" && put "$AUTO"; }
`;

/** Arguments after the preamble's: DATA SAVED BIN. Prints what readFiles() parses; `end=yes` = nothing was cut off. */
export const readFilesScript = `
${actPreamble}
BIN=$3
${stoppedFunctions}
enter "$1"
find_sets "$2"
echo "mark=$(mark_of "$REAL")"
echo "set=$LAST"
[ ! -f "$REAL/$AUTO" ] || echo "auto=$(encode <"$REAL/$AUTO")"
[ -z "$LAST" ] || [ ! -f "$LAST/$AUTO" ] || echo "saved=$(encode <"$LAST/$AUTO")"
# postgresql.conf may include others, and Debian keeps it elsewhere.
find_config "$REAL" "$SAVED"
# PostgreSQL's own answer takes as long as all the rest, and counts only where neither of these files has one.
grep -qs "^primary_conninfo = '[^']" "$REAL/$AUTO" \${LAST:+"$LAST/$AUTO"} ||
  echo "effective=$("$BIN/postgres" -C primary_conninfo -D "$REAL" \${CONF:+-c "config_file=$CONF"} 2>/dev/null 9>&- | encode)"
echo "slot=$("$BIN/postgres" -C primary_slot_name -D "$REAL" \${CONF:+-c "config_file=$CONF"} 2>/dev/null 9>&-)"
for name in standby recovery; do exists "$REAL/$name.signal" && echo "$name=yes" || echo "$name=no"; done
echo "end=yes"
`;

/** Arguments after the preamble's: DATA ID SET(a path, or nothing) AUTO(base64). Prints changed=, left=; proves what it wrote. Once only. */
export const restoreScript = `
${actPreamble}
ID=$2 SET=$3 WANTED=$4
${stoppedFunctions}
enter "$1"
[ "$(mark_of "$REAL")" = "$ID" ] || refuse "$1 is not the fresh copy of rebuild $ID"
umask 077
CHANGED=no DONE=$REAL/${restoredMarkName}
ENTRIES=$(list_entries "$REAL") || exit 1
[ "$(cat "$DONE" 2>/dev/null)" != "$ID" ] || { print_left; echo "changed=no"; exit 0; }
others() { grep -vxF "$AUTO"; }
IFS=$NL; set -f
if [ -n "$SET" ]; then
  [ -d "$SET" ] || fail "$SET is gone"
  OURS=$(ls -A "$SET" | others)
  WANTED_FILES=$(say "$OURS" | fingerprint "$SET")
  if [ "$(kept | others | fingerprint "$REAL")" != "$WANTED_FILES" ]; then
    CHANGED=yes
    for name in $(kept | others); do exists "$SET/$name" || discard "$REAL/$name" || exit 1; done
    for name in $OURS; do cp -pPR "$SET/$name" "$NEW" && put "$name" || exit 1; done
  fi
fi
[ -f "$REAL/$AUTO" ] && [ "$(encode <"$REAL/$AUTO")" = "$WANTED" ] || { CHANGED=yes; put_auto "$WANTED" || exit 1; }
sync "$REAL" || exit 1
ENTRIES=$(list_entries "$REAL") || exit 1
print_left
[ -z "$SET" ] || [ "$(kept | others | fingerprint "$REAL")" = "$WANTED_FILES" ] || fail "$REAL differs from $SET"
[ "$(encode <"$REAL/$AUTO")" = "$WANTED" ] || fail "$REAL/$AUTO is not as written"
say "$ID" >"$DONE.new" && sync "$DONE.new" && mv "$DONE.new" "$DONE" && sync "$REAL" || exit 1
echo "changed=$CHANGED"
`;

/** Arguments after the preamble's: DATA SEEN(base64) AUTO(base64). SEEN is the file that AUTO was computed from. */
export const configureScript = `
${actPreamble}
${stoppedFunctions}
enter "$1"
umask 077
[ "$(encode 2>/dev/null <"$REAL/$AUTO")" = "$2" ] || fail "$REAL/$AUTO has changed since it was read"
# The signal first: a node that is started in between comes up read-only. What a fence wrote into it vouches for the past only.
: >"$REAL/standby.signal" || exit 1
sync "$REAL/standby.signal" && put_auto "$3" && rm -f "$REAL/recovery.signal" && sync "$REAL" || exit 1
[ "$(encode <"$REAL/$AUTO")" = "$3" ] && exists "$REAL/standby.signal" && ! exists "$REAL/recovery.signal" || fail "the replication settings in $REAL are not as they were written"
`;
