#!/bin/sh
# Looks at a node's data directory and what its links lead to. Arguments: DATA BIN SAVED LINKS VERSION, then OID LOCATION of every
# tablespace of the primary. Prints what look.sh prints, then more KEY=value lines about the data, and places=, how many places were
# looked at: each one's keys begin with placeN_. inspect-data.ts reads them. Changes nothing.

. lib/answer.sh
. lib/look.sh

(look "$1" "$2")

DATA=$1 BIN=$2 SAVED=$3 LINKS=$4 VERSION=$5
shift 5

. lib/data.sh

SAVED=$(home_path "$SAVED") LINKS=$(home_path "$LINKS")
# A quote is refused later: no name can end its line early.
one_line() { printf '%s' "$1" | tr '[:cntrl:]' '"'; }
END=$(($(date +%s) + 40))
taken() {
  LEFT=$((END - $(date +%s)))
  [ "$LEFT" -gt 0 ] || LEFT=1
  timeout "$LEFT" du -skx "$1" 2>/dev/null | tail -n 1 | cut -f 1
}
say() { echo "place${PLACES}_$1=$2"; }
# strange PATH: one thing there that is not PostgreSQL's is enough, the first one.
strange() {
  [ -n "$STRANGE" ] || say stranger "$(one_line "$1")"
  STRANGE=yes
}
PLACES=0
# place ROLE LINK DIRECTORY: the directory, whether it can be renamed, its room, and what is in it that is not PostgreSQL's.
place() {
  PLACES=$((PLACES + 1)) STRANGE=''
  ROLE=$1 LINK=$2 AT=$3 UP=$(parent_of "$3") EXISTS=no EMPTY=yes OWNED=no MOUNT=no RENAMABLE=no USED='' LEFTOVER='' ID='' DEVICE='' FREE=''
  HOLDER=$UP
  if [ -d "$AT" ] && [ ! -L "$AT" ]; then
    EXISTS=yes ID=$(stat -c %d:%i "$AT") USED=$(taken "$AT")
    is_empty "$AT" || EMPTY=no
    [ ! -O "$AT" ] || OWNED=yes
    if is_mount "$AT"; then MOUNT=yes HOLDER=$AT; fi
  elif exists "$AT"; then
    EXISTS=yes EMPTY=no
  fi
  # In a sticky directory only the owner of either may rename.
  if [ $MOUNT = no ] && [ -d "$UP" ] && [ -w "$UP" ] && [ -x "$UP" ] &&
    { [ ! -k "$UP" ] || [ $EXISTS = no ] || [ $OWNED = yes ] || [ -O "$UP" ]; }; then RENAMABLE=yes; fi
  if [ -d "$HOLDER" ]; then
    DEVICE=$(stat -c %d "$HOLDER") FREE=$(stat -f -c '%a %S' "$HOLDER") && FREE=$((${FREE% *} * ${FREE#* }))
  fi
  [ ! -d "$AT$FRESH_SUFFIX" ] || LEFTOVER=$(taken "$AT$FRESH_SUFFIX")
  say role "$ROLE"
  say link "$LINK"
  say path "$(one_line "$AT")"
  say exists $EXISTS
  say empty $EMPTY
  say owned $OWNED
  say mount $MOUNT
  say renamable $RENAMABLE
  say id "$ID"
  say device "$DEVICE"
  say free_bytes "$FREE"
  say used_kilobytes "$USED"
  say leftover_kilobytes "$LEFTOVER"
  [ $EXISTS = yes ] || return 0
  INNER=$(mounts | while IFS= read -r INNER; do case $INNER in "$AT"/*) echo "$INNER" ;; esac done | head -n 1)
  [ -z "$INNER" ] || strange "$INNER"
  [ "$ROLE" = linked ] || return 0
  NAME=$(strange_name "$LINK" "$AT" "$VERSION")
  [ -z "$NAME" ] || strange "$AT/$NAME"
}
REAL=$(real_path "$DATA") || REAL=
echo "real=$(one_line "$REAL")"
place data - "${REAL:-$DATA}"
case $(real_path "$SAVED")/ in "$REAL"/*) strange "$SAVED" ;; esac
case ${LINKS%/*}/ in "$REAL"/*) strange "${LINKS%/*}" ;; esac
[ ! -f "$REAL/PG_VERSION" ] || echo "version=$(head -n 1 "$REAL/PG_VERSION")"
echo "mark=$(mark_of "$REAL")"
! is_unfinished "$REAL" || echo "unfinished=yes"
[ -d "$REAL" ] || [ -z "$(postgres_processes "$REAL")" ] || echo "deleted=yes"
# The first start renames backup_label.
if [ -f "$REAL/backup_label" ] && [ -z "$(postgres_processes "$REAL")" ]; then echo "copied=yes"; fi
if [ -e "$REAL/global/pg_control" ]; then
  echo "control=yes"
  control_file | sed 's/^/own_/'
fi
echo "wal=$(names_in "$REAL/pg_wal" | grep -xE '[0-9A-F]{24}' | sort | tail -n 1 | cut -c 1-8)"
SEEN=
linked() {
  place linked "$1" "$2"
  SEEN="$SEEN $1 "
}
# Where the links led is known from LINKS while the data directory that held them is away; see lib/links.sh.
if [ -e "$REAL/global/pg_control" ] || [ ! -f "$LINKS" ]; then
  for LINK in "$REAL/pg_wal" "$REAL"/pg_tblspc/*; do
    [ ! -L "$LINK" ] || linked "${LINK##*/}" "$(real_path "$LINK")"
  done
else
  while IFS= read -r LINE; do linked "${LINE%% *}" "${LINE#* }"; done <"$LINKS"
fi
while [ $# -gt 1 ]; do
  case $SEEN in *" $1 "*) ;; *) place missing "$1" "$(real_path "$2" || printf '%s' "$2")" ;; esac
  shift 2
done
echo "places=$PLACES"
sed 's/^/machine=/' /proc/sys/kernel/random/boot_id
done_
