#!/bin/sh
# Tells the node's clock. Prints clock=MILLISECONDS since 1970.

. lib/answer.sh

echo "clock=$(date +%s%3N)"
done_
