#!/bin/sh
# A job: saves what a node's archiver was still to archive. Arguments: DATA SET. Exit 3 = could not, its last line says why.
# A file of that name with other content is of another life of this node, and kept beside.

. lib/unarchived.sh

SET=$(home_path "$2")
umask 077
fail() {
  rm -f "$SET/.new"
  echo "$*"
  exit 3
}
identity() { stat -c '%s %Y' "$1"; }
mkdir -p "$SET" || fail "cannot make $SET"
KILOBYTES=$(ready_names | xargs -r stat -c %s | awk '{ bytes += $1 } END { printf "%d", bytes / 1024 }')
FREE=$(df -Pk "$SET" | awk 'NR == 2 { print $4 }')
[ "$FREE" -gt $((KILOBYTES + KILOBYTES / 10 + 65536)) ] || fail "$KILOBYTES kB are to be saved and $FREE kB are free in $SET"
DONE=0
for NAME in $(ready_names); do
  if [ -e "$SET/$NAME" ]; then
    [ "$(identity "$NAME")" != "$(identity "$SET/$NAME")" ] || continue
    mv "$SET/$NAME" "$SET/$NAME.$(stat -c %Y "$SET/$NAME")" || fail "cannot rename $SET/$NAME"
  fi
  { cp -p "$NAME" "$SET/.new" && sync "$SET/.new" && mv "$SET/.new" "$SET/$NAME"; } || fail "cannot copy $PWD/$NAME to $SET"
  DONE=$((DONE + 1))
  echo "$DONE WAL files are saved, the last $NAME"
done
sync "$SET"
