#!/bin/sh
# Lists the WAL that a node's archiver is still to archive, and what was saved of that. Arguments: DATA SET.
# Prints set=DIRECTORY, ready=NAME BYTES TIME of what the archive does not have, and saved=NAME BYTES TIME.

. lib/unarchived.sh

SET=$(home_path "$2")
saved_names() { for NAME in *; do [ ! -e "$NAME" ] || echo "$NAME"; done; }
echo "set=$SET"
ready_names | xargs -r stat -c 'ready=%n %s %Y' || fail "the files in $PWD cannot be read"
[ ! -d "$SET" ] || { cd "$SET" && saved_names | xargs -r stat -c 'saved=%n %s %Y'; } || fail "$SET cannot be read"
done_
