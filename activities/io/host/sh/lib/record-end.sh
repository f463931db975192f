#!/bin/sh
# LSNs and bytes, and where a WAL record ends. Needs SIZE, of a segment.

bytes_of() { echo $((0x${1#*/} + (0x${1%/*} << 32))); }
lsn_of() { printf '%X/%X' $(($1 >> 32)) $(($1 & 0xffffffff)); }
# end_of LSN BYTES SWITCH(yes|no): sets END to the byte after that record.
# A page header stands at the top of each page that it enters, a longer one at that of a segment; records begin at multiples
# of 8; SWITCH fills up its segment (PostgreSQL documentation, 30.6 WAL Internals; access/transam; pages of 8 kB).
end_of() {
  AT=$(bytes_of "$1") LEFT=$2
  while
    ROOM=$((8192 - AT % 8192))
    [ "$LEFT" -gt "$ROOM" ]
  do
    LEFT=$((LEFT - ROOM)) AT=$((AT + ROOM))
    AT=$((AT + (AT % SIZE ? 24 : 40)))
  done
  END=$(((AT + LEFT + 7) / 8 * 8))
  [ "$3" = no ] || END=$(((END + SIZE - 1) / SIZE * SIZE))
}
