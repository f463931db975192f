#!/bin/sh
# A job: removes what a finished rebuild has set aside. Arguments: BIN ID KEEP(yes|no), then LINK CURRENT FRESH ASIDE of every
# directory, the data directory's (LINK -) first. Prints removed=, used=, kept= and kilobytes=.
# A directory that goes is first renamed to the one name that is ours to remove at any time: a half-removed directory never looks kept.

. lib/moves.sh

BIN=$1 ID=$2 KEEP=$3 CURRENT=$5
shift 3
case $(mark_of "$CURRENT") in "$ID") ;; "") done_ ;; *) refuse "$CURRENT is the copy of another rebuild" ;; esac
KEPT=
# Ours: its name ends in a rebuild's id, not newer than this one's; a real directory beside the data, and the ssh user's.
is_aside() {
  AGE=${1##*.replaced-}
  printf '%s\n' "${1##*/}" | grep -qxE '.+[.]replaced-[0-9]{8}T[0-9]{6}Z-[a-z0-9]{8}' || return 1
  [ "$(printf '%s\n%s\n' "$AGE" "$ID" | sort | head -n 1)" = "$AGE" ] || return 1
  [ -d "$1" ] && [ ! -L "$1" ] && [ -O "$1" ] && [ "$(real_path "$1")" = "$1" ] && ! is_mount "$1"
}
# The last data that served is kept, not a copy that came after it and was never more than a standby: it holds nothing of its own.
# A former primary that was fenced and came up again is in recovery, too.
is_failed_copy() {
  exists "$1/$REBUILD_MARK" || return 1
  [ ! -f "$1/backup_label" ] || return 0
  read_mark "$1"
  case $MARK in before-promotion | after-return) return 1 ;; esac
  REAL=$1 control_file | grep -qxE 'state=(shut down in recovery|in archive recovery)'
}
remove() {
  PLACE=${1%.replaced-*}
  remove_leftover "$PLACE" || return 0
  { mv -T "$1" "$PLACE$FRESH_SUFFIX" && echo "removed=$1" && remove_leftover "$PLACE"; } || fail "cannot remove $1"
}
if [ "$KEEP" = yes ]; then
  for OLD in "$CURRENT".replaced-*; do
    if is_aside "$OLD" && [ -f "$OLD/PG_VERSION" ] && ! is_failed_copy "$OLD"; then KEPT=$OLD; fi
  done
fi
for DATA in "$CURRENT".replaced-*; do
  { is_aside "$DATA" && is_data "$DATA" && [ "$DATA" != "$KEPT" ]; } || continue
  if is_in_use "$DATA"; then
    echo "used=$DATA"
    continue
  fi
  # The targets of its links go first: without the links nobody would know of them.
  for LINK in "$DATA/pg_wal" "$DATA"/pg_tblspc/*; do
    TARGET=$(readlink "$LINK") || continue
    ! is_aside "$TARGET" || remove "$TARGET"
  done
  remove "$DATA"
done
remove_leftover "$CURRENT"
each_leftover() { remove_leftover "$2"; }
each each_leftover "$@"
[ -z "$KEPT" ] || {
  KILOBYTES=0
  for PART in "$KEPT" "$KEPT/pg_wal" "$KEPT"/pg_tblspc/*; do
    [ "$PART" = "$KEPT" ] || [ -L "$PART" ] || continue
    TAKEN=$(timeout 60 du -skx "$PART/" 2>/dev/null | tail -n 1 | cut -f 1)
    KILOBYTES=$((KILOBYTES + ${TAKEN:-0}))
  done
  echo "kept=$KEPT"
  echo "kilobytes=$KILOBYTES"
}
done_
