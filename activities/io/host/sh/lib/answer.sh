#!/bin/sh
# How every script answers: KEY=value lines, and one of these at its end. activities/io/host/answer.ts reads them.
# A script that cannot go on says so in words for people, where it has seen why.

. lib/names.sh

# The goal is reached, and the lines before this one are whole.
done_() {
  echo "answer=done"
  exit 0
}
# refuse SENTENCE: the world differs from the plan, and repeating cannot change that.
refuse() {
  printf 'refused=%s\n' "$1"
  exit "$REFUSED"
}
# wrong SENTENCE: the cluster file must be corrected first.
wrong() {
  printf 'wrong=%s\n' "$1"
  exit "$MISCONFIGURED"
}
# fail SENTENCE: anything else. On stderr, behind the words of the program that failed.
fail() {
  printf '%s\n' "$1" >&2
  exit 1
}
