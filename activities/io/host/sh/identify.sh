#!/bin/sh
# On the primary's host: which machine that is, and which directories those are there. Arguments: DATA, then paths.
# Prints machine= and, for each directory, primary=DEVICE:INODE.

. lib/answer.sh

sed 's/^/machine=/' /proc/sys/kernel/random/boot_id
stat -L -c 'primary=%d:%i' "$1/pg_wal" "$@" 2>/dev/null
done_
