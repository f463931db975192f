#!/bin/sh
# Reads the files of a data directory: its control file, whether it is one, and our fence mark. Needs BIN.

# Of $REAL, as KEY=value lines.
control_file() {
  LC_ALL=C "$BIN/pg_controldata" "$REAL" 2>/dev/null | sed -n \
    -e 's/^Database system identifier: */identifier=/p;s/^Database cluster state: */state=/p' \
    -e "s/^Latest checkpoint location: */checkpoint=/p;s/^Latest checkpoint's TimeLineID: */timeline=/p"
}

# Without either file nothing there can be started, or lost. A path that may not be searched proves nothing.
data_directory() {
  if [ -x "$1" ]; then
    if [ -e "$1/PG_VERSION" ] && [ -e "$1/global/pg_control" ]; then echo "data_directory=yes"; else echo "data_directory=no"; fi
    return
  fi
  at=$1
  until [ -e "$at" ] || [ -L "$at" ]; do
    at=${at%/*}
    at=${at:-/}
  done
  [ "$at" = "$1" ] || [ ! -x "$at" ] || echo "data_directory=no"
}

# Sets MARK to what a fence of ours wrote into standby.signal: PostgreSQL never reads that file (readRecoverySignalFile).
read_mark() {
  MARK=
  [ ! -e "$1/standby.signal" ] || { read -r MARK; } 2>/dev/null <"$1/standby.signal"
  case $MARK in before-promotion | after-return) ;; *) MARK=none ;; esac
}
