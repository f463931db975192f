#!/bin/sh
# Reads a server's log. Arguments: LOG SIZE.
# Prints said=: each of the last messages behind that many bytes; whatever else was written there if there are none.

. lib/answer.sh

NEW=$(tail -c "+$(($2 + 1))" "$1" 2>/dev/null | tail -n 40)
FOUND=$(echo "$NEW" | grep -E "(LOG|ERROR|FATAL|PANIC|HINT): ")
echo "${FOUND:-$NEW}" | tail -n 6 | tail -c 600 | sed 's/^/said=/'
done_
