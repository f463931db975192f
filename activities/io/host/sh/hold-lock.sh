#!/bin/sh
# Holds the node's lock for an act over SQL. Arguments: LOCK WAIT_MS ACTOR HOLD_MS. Prints here, then held. Its times count from
# its own start: a holder that comes late is harmless, because nobody acts before it has said "held".

echo here
HOLD=$4
DEADLINE=$(($(date +%s%3N) + $2))
# Nothing that ended before can have overtaken it: its act is decided on by looks that come after "held".
set -- "$1" "$DEADLINE" "$DEADLINE" "$3"

. lib/act.sh

# Told to end, or without a reader, it still notes when its act ended.
trap 'exit 0' TERM
trap '' PIPE
echo held
UNTIL=$(($(date +%s%3N) + HOLD))
# When its worker is gone nobody reads this: the echo fails, and the lock is free.
while [ "$(date +%s%3N)" -lt "$UNTIL" ]; do
  sleep 0.5 9>&-
  echo still || exit 0
done
