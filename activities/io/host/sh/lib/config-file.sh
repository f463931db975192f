#!/bin/sh
# find_config DATA SAVED: sets CONF to the postgresql.conf of a node that does not keep it in its data directory; empty for any other.
# The start of its postmaster says where; a fresh copy was never started, but the node's saved configuration remembers it;
# and so does Debian's layout, in which the file names the data directory.

find_config() {
  CONF=$(sed -n 's/.*"-*config[-_]file=\([^"]*\)".*/\1/p' "$1/postmaster.opts" 2>/dev/null)
  [ -z "$CONF" ] && [ ! -e "$1/postgresql.conf" ] || return 0
  # -D may name the directory of the configuration, which then names that of the data.
  CONF=$(sed -n 's/.*"-D" "\([^"]*\)".*/\1/p' "$1/postmaster.opts" 2>/dev/null)/postgresql.conf
  [ ! -r "$CONF" ] || return 0
  CONF=
  [ ! -r "$2/config-file" ] || read -r CONF <"$2/config-file"
  [ -z "$CONF" ] || [ ! -r "$CONF" ] || return 0
  CONF=
  for file in /etc/postgresql/*/*/postgresql.conf; do
    ! grep -qsE "^[[:blank:]]*data_directory[[:blank:]]*=?[[:blank:]]*'$1/?'" "$file" || {
      CONF=$file
      return 0
    }
  done
}
