// Shell that saves what a node's archiver was still to archive: PostgreSQL marks each such file by archive_status/NAME.ready in pg_wal
// (PostgreSQL documentation, 26.3.1 Setting Up WAL Archiving).

import { homePathFunction } from './scripts';

/** Sets SET, STATUS and goes to pg_wal; ends well where there is no such directory. `each_ready COMMAND` runs it with NAME set. */
const readyFunctions = `
${homePathFunction}
DATA=$1 SET=$(home_path "$2")
[ -d "$DATA/pg_wal/archive_status" ] || { [ ! -e "$DATA/PG_VERSION" ] || [ -r "$DATA/PG_VERSION" ]; exit; }
cd "$DATA/pg_wal" && ls archive_status >/dev/null || exit 4
each_ready() {
  for READY in archive_status/*.ready; do
    NAME=\${READY#archive_status/} NAME=\${NAME%.ready}
    [ ! -f "$NAME" ] || "$1" || exit 4
  done
}
identity() { stat -c '%s %Y' "$1"; }
is_saved() { [ -e "$SET/$NAME" ] && [ "$(identity "$NAME")" = "$(identity "$SET/$NAME")" ]; }
`;

/** Arguments: DATA SET. Prints set=DIRECTORY, and for each file that the archive does not have saved=NAME or missing=NAME. Exit 4: cannot tell. */
export const lookAtUnarchivedScript = `
${readyFunctions}
tell() { if is_saved; then echo "saved=$NAME"; else echo "missing=$NAME"; fi; }
echo "set=$SET"
each_ready tell
`;

/** A job. Arguments: DATA SET. A file of that name with other content is of another life of this node, and kept beside. */
export const saveUnarchivedScript = `
${readyFunctions}
umask 077
fail() { rm -f "$SET/.new"; echo "$*"; exit 3; }
save() {
  ! is_saved || return 0
  [ ! -e "$SET/$NAME" ] || mv "$SET/$NAME" "$SET/$NAME.$(stat -c %Y "$SET/$NAME")" || fail "cannot rename $SET/$NAME"
  cp -p "$NAME" "$SET/.new" && sync "$SET/.new" && mv "$SET/.new" "$SET/$NAME" || fail "cannot copy $PWD/$NAME to $SET"
  DONE=$((DONE + 1)); echo "$DONE WAL files are saved, the last $NAME"
}
mkdir -p "$SET" || fail "cannot make $SET"
DONE=0
each_ready save
sync "$SET"
`;
