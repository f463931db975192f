#!/bin/sh
# Removes files of ours that a rebuild has left in a data directory. Arguments: LOCK ISSUED DEADLINE ACTOR DATA, then their names.

. lib/act.sh

DATA=$1
shift
{ cd "$DATA" && rm -f -- "$@" && sync .; } || fail "cannot remove them from $DATA"
done_
