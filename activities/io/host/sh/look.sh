#!/bin/sh
# Looks at a node's processes and files. Arguments: DATA BIN.
# Prints KEY=value lines; host-facts.ts reads them. Changes nothing.

. lib/answer.sh
. lib/look.sh

look "$1" "$2"
done_
