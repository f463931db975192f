#!/bin/sh
# A job: saves what a node's archiver was still to archive. Arguments: DATA SET. Prints progress= on the way.
# A file of that name with other content is of another life of this node, and kept beside.

. lib/unarchived.sh

SET=$(home_path "$2")
umask 077
give_up() {
  rm -f "$SET/.new"
  fail "$1"
}
identity() { stat -c '%s %Y' "$1"; }
mkdir -p "$SET" || give_up "cannot make $SET"
KILOBYTES=$(ready_names | xargs -r stat -c %s | awk '{ bytes += $1 } END { printf "%d", bytes / 1024 }')
FREE=$(df -Pk "$SET" | awk 'NR == 2 { print $4 }')
[ "$FREE" -gt $((KILOBYTES + KILOBYTES / 10 + 65536)) ] || give_up "$KILOBYTES kB are to be saved and $FREE kB are free in $SET"
DONE=0
for NAME in $(ready_names); do
  if [ -e "$SET/$NAME" ]; then
    [ "$(identity "$NAME")" != "$(identity "$SET/$NAME")" ] || continue
    mv "$SET/$NAME" "$SET/$NAME.$(stat -c %Y "$SET/$NAME")" || give_up "cannot rename $SET/$NAME"
  fi
  { cp -p "$NAME" "$SET/.new" && sync "$SET/.new" && mv "$SET/.new" "$SET/$NAME"; } || give_up "cannot copy $PWD/$NAME to $SET"
  DONE=$((DONE + 1))
  echo "progress=$DONE WAL files are saved, the last $NAME"
done
sync "$SET"
done_
