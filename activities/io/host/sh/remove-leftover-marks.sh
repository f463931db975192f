#!/bin/sh
# Removes files of ours that a rebuild has left in a data directory. Arguments: LOCK DEADLINE ACTOR DATA, then their names.

. lib/act.sh

cd "$1" && shift && rm -f -- "$@" && sync .
