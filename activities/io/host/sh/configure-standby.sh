#!/bin/sh
# Writes the replication settings of a stopped server, and proves it. Arguments: LOCK ISSUED DEADLINE ACTOR DATA SEEN(base64) AUTO(base64).
# SEEN is the file that AUTO was computed from.

. lib/act.sh
. lib/config-change.sh

enter "$1"
umask 077
[ "$(encode 2>/dev/null <"$REAL/$AUTO")" = "$2" ] || fail "$REAL/$AUTO has changed since it was read"
# The signal first: a node that is started in between comes up read-only. What a fence wrote into it vouches for the past only.
true >"$REAL/standby.signal" || fail "cannot write $REAL/standby.signal"
{ sync "$REAL/standby.signal" && put_auto "$3" && rm -f "$REAL/recovery.signal" && sync "$REAL"; } || fail "cannot write $REAL/$AUTO"
{ [ "$(encode <"$REAL/$AUTO")" = "$3" ] && exists "$REAL/standby.signal" && ! exists "$REAL/recovery.signal"; } ||
  fail "the replication settings in $REAL are not as they were written"
done_
