#!/bin/sh
# Reads a data directory's rebuild mark. Arguments: CURRENT. Prints mark= and, when there is nothing in it, empty=yes.

. lib/data.sh

echo "mark=$(mark_of "$1")"
if ! exists "$1" || is_empty "$1"; then echo "empty=yes"; fi
done_
