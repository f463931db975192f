#!/bin/sh
# The configuration files inside a data directory: which they are, and the sets of them that were saved. Needs BIN.

. lib/data.sh
. lib/config-file.sh

AUTO=postgresql.auto.conf TAB='	'
# Larger entries are dumps, core files or data of an extension, not configuration.
LARGEST_KILOBYTES=16384
say() { printf '%s\n' "$1"; }

# list_entries DATA: "keep NAME" is configuration, "left NAME (why)" might be. Left out is what pg_basebackup and pg_rewind leave
# out or make anew (backup/basebackup.c, pg_rewind/filemap.c), what initdb makes, what lies about, and what is ours.
# Directories pg_something and orioledb_something are extensions' data.
list_entries() (
  { cd "$1" && set +f; } || exit 1
  OWN=/
  for link in pg_tblspc/*; do
    target=$(cd "$link" 2>/dev/null && pwd -P) || continue
    case $target in
      "$1"/*)
        target=${target#"$1"/}
        OWN="$OWN${target%%/*}/"
        ;;
    esac
  done
  set --
  for name in * .[!.]* ..?*; do
    case $name in
      *"$NL"*) continue ;;
      PG_VERSION | base | global | pg_commit_ts | pg_dynshmem | pg_logical | pg_multixact | pg_notify | pg_replslot | pg_serial) continue ;;
      pg_snapshots | pg_stat | pg_stat_tmp | pg_subtrans | pg_tblspc | pg_twophase | pg_wal | pg_xact | pg_upgrade_output.d) continue ;;
      postmaster.* | backup_label* | tablespace_map* | backup_manifest* | current_logfiles* | logrotate | promote) continue ;;
      fallback_promote | *.signal | recovery.done | recovery.conf | "$AUTO.tmp" | pg_internal.init* | pgsql_tmp* | .s.PGSQL.*) continue ;;
      log | logs | pg_log | *.log | *.pid | core | core.[0-9]* | tmp_check | lost+found | pgpool-runbook.*) continue ;;
      pg_*.*) ;;
      pg_* | orioledb_*) [ ! -d "$name" ] || continue ;;
    esac
    case $OWN in *"/$name/"*) continue ;; esac
    [ -f "$name" ] || [ -d "$name" ] || [ -L "$name" ] || continue
    if [ ! -L "$name" ] && [ ! -r "$name" ]; then say "left $name (unreadable)"; else set -- "$@" "./$name"; fi
  done
  [ $# -gt 0 ] || exit 0
  # -l: a second link to a file is an entry, too. What was removed meanwhile is not listed, and status 1; more is no listing.
  SIZES=$(du -skl -- "$@" 2>/dev/null)
  [ $? -le 1 ] || fail "du failed in $PWD"
  say "$SIZES" | while IFS=$TAB read -r size name; do
    [ -n "$name" ] || continue
    if [ "$size" -gt "$LARGEST_KILOBYTES" ]; then say "left ${name#./} (larger than 16 MiB)"; else say "keep ${name#./}"; fi
  done
)
kept() { say "$ENTRIES" | sed -n 's/^keep //p'; }
print_left() { say "$ENTRIES" | sed -n 's/^left /left=/p'; }

# fingerprint DIRECTORY, of the names on stdin: types, modes, link targets and contents. Equal text means equal entries.
fingerprint() (
  cd "$1" || exit 1
  set --
  while IFS= read -r name; do [ -z "$name" ] || set -- "$@" "./$name"; done
  [ $# = 0 ] || {
    find "$@" -exec stat -c '%f %N' {} +
    find "$@" -type f -exec sha256sum {} +
  } 2>/dev/null | sort
)
discard() {
  [ -L "$1" ] || chmod -R u+w "$1" 2>/dev/null
  rm -rf "$1"
}
sync_tree() { [ -L "$1" ] || find "$1" \( -type f -o -type d \) -exec sync {} +; }

# find_sets SAVED: sets SAVED, and LAST to the path of the newest set; empty when there is none.
find_sets() {
  SAVED=$(home_path "$1")
  LAST=$(list_sets | head -n 1)
  LAST=${LAST:+$SAVED/$LAST}
}
list_sets() { names_in "$SAVED" | grep -E '^[0-9]{8}T[0-9]{6}Z(\.1)*$' | sort -r; }
