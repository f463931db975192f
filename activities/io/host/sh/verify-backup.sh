#!/bin/sh
# A job: verifies a fresh copy, and marks what it has found right. Arguments: BIN FRESH ID.
# Exit 1 = pg_verifybackup says no; 4 = cannot mark; 5 = cannot verify.

. lib/names.sh

BIN=$1 FRESH=$2 ID=$3 MARK=$2/$REBUILD_MARK
export LC_ALL=C
for PROGRAM in pg_verifybackup pg_waldump; do
  [ -x "$BIN/$PROGRAM" ] || {
    echo "$BIN/$PROGRAM cannot be run: correct postgres.bin, or install it"
    exit 5
  }
done
# Of an earlier try: it would be taken for a file that was not copied.
rm -f "$MARK.new"
"$BIN/pg_verifybackup" --exit-on-error "$FRESH" || exit
umask 077
# Whoever starts the copy starts it read-only.
[ -e "$FRESH/standby.signal" ] || true >"$FRESH/standby.signal" || exit 4
sync "$FRESH/standby.signal" || exit 4
{ echo "$ID" >"$MARK.new" && sync "$MARK.new" && mv "$MARK.new" "$MARK" && sync "$FRESH"; } || exit 4
