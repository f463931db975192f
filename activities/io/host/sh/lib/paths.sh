#!/bin/sh
# Paths as the cluster file gives them, and what is in a directory.

# home_path PATH: a leading ~/ is $HOME.
home_path() { case $1 in \~/*) printf '%s\n' "$HOME/${1#\~/}" ;; *) printf '%s\n' "$1" ;; esac }

# names_in DIRECTORY: one name a line, unsorted, hidden ones too.
names_in() { find "$1/" -mindepth 1 -maxdepth 1 -printf '%f\n' 2>/dev/null; }
