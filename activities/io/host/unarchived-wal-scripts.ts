// Shell that saves what a node's archiver was still to archive: PostgreSQL marks each such file by archive_status/NAME.ready in pg_wal
// (PostgreSQL documentation, 26.3.1 Setting Up WAL Archiving).

import { homePathFunction } from './scripts';

/** Sets SET and goes to pg_wal; ends well where there is nothing to archive. `ready_names` prints the names of what is still to be archived. */
const readyFunctions = `
${homePathFunction}
DATA=$1 SET=$(home_path "$2")
[ -d "$DATA/pg_wal/archive_status" ] || { [ -d "$DATA/pg_wal" ] || [ ! -e "$DATA/PG_VERSION" ]; exit; }
cd "$DATA/pg_wal" && ls archive_status >/dev/null || exit 4
ready_names() {
  for READY in archive_status/*.ready; do
    NAME=\${READY#archive_status/} NAME=\${NAME%.ready}
    [ ! -f "$NAME" ] || echo "$NAME"
  done
}
`;

/** Arguments: DATA SET. Prints set=DIRECTORY, ready=NAME BYTES TIME of what the archive does not have, and saved=NAME BYTES TIME. Exit 4: cannot tell. */
export const lookAtUnarchivedScript = `
${readyFunctions}
echo "set=$SET"
ready_names | xargs -r stat -c 'ready=%n %s %Y' || exit 4
[ ! -d "$SET" ] || { cd "$SET" && ls | xargs -r stat -c 'saved=%n %s %Y'; } || exit 4
`;

/** A job. Arguments: DATA SET. A file of that name with other content is of another life of this node, and kept beside. */
export const saveUnarchivedScript = `
${readyFunctions}
umask 077
fail() { rm -f "$SET/.new"; echo "$*"; exit 3; }
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
  cp -p "$NAME" "$SET/.new" && sync "$SET/.new" && mv "$SET/.new" "$SET/$NAME" || fail "cannot copy $PWD/$NAME to $SET"
  DONE=$((DONE + 1)); echo "$DONE WAL files are saved, the last $NAME"
done
sync "$SET"
`;
