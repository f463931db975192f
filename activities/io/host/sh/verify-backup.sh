#!/bin/sh
# A job: verifies a fresh copy, and marks what it has found right. Arguments: BIN FRESH ID. Refuses a copy that pg_verifybackup says
# is wrong, and nothing else: look-after-copy.sh removes it then.

. lib/answer.sh

BIN=$1 FRESH=$2 ID=$3 MARK=$2/$REBUILD_MARK
export LC_ALL=C
for PROGRAM in pg_verifybackup pg_waldump; do
  [ -x "$BIN/$PROGRAM" ] || wrong "$BIN/$PROGRAM cannot be run: correct postgres.bin, or install it"
done
# Of an earlier try: it would be taken for a file that was not copied.
rm -f "$MARK.new"
SAID=$("$BIN/pg_verifybackup" --exit-on-error "$FRESH" 2>&1)
case $? in
  0) ;;
  1) refuse "$(printf '%s' "$SAID" | tr '\n' ' ')" ;;
  *) fail "pg_verifybackup was ended half-way: $SAID" ;;
esac
umask 077
# A copy that somebody starts comes up read-only.
[ -e "$FRESH/standby.signal" ] || true >"$FRESH/standby.signal" || fail "cannot write $FRESH/standby.signal"
sync "$FRESH/standby.signal" || fail "cannot sync $FRESH/standby.signal"
{ echo "$ID" >"$MARK.new" && sync "$MARK.new" && mv "$MARK.new" "$MARK" && sync "$FRESH"; } || fail "cannot write $MARK"
done_
