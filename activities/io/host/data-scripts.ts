// Shell about data directories on a node: what every script that looks at, moves or removes one shares, and the look itself.
// Each path is checked by what it is at that moment, never by what it was; every refusal is one line refused=, exit status 3.

import { freshSuffix, rebuildMarkName } from '../../../domain/facts/data-directory';
import { homePathFunction, lookScript, processFunctions } from './scripts';

/** Exit status of a script that found the world different from the plan; `refused=` says how. */
export const refusedStatus = 3;

/** In a data directory that is being emptied, until that is done. Holds the rebuild's id. */
export const removingMarkName = 'pgpool-runbook.removing';

/** In a fresh copy once its node's own configuration is back: what people mend there afterwards stays. Holds the rebuild's id. */
export const restoredMarkName = 'pgpool-runbook.restored';

/**
 * `real_path PATH`: without symbolic links, also when only its parent exists. `mark_of DIRECTORY`: the id of the unfinished
 * rebuild whose copy it is. `link_path DATA NAME`: of pg_wal or a tablespace. `whole DIRECTORY`: refuses what is not simply a
 * directory of ours. `wipe DIRECTORY`: its contents, on its own filesystem only.
 */
export const dataFunctions = `
export LC_ALL=C
${homePathFunction}
${processFunctions}
refuse() { printf 'refused=%s\\n' "$1"; exit ${refusedStatus}; }
fail() { printf '%s\\n' "$1" >&2; exit 1; }
exists() { [ -e "$1" ] || [ -L "$1" ]; }
parent_of() { case $1 in /*/*) printf '%s\\n' "\${1%/*}";; *) echo /;; esac; }
real_path() {
  if [ -d "$1" ] && (cd "$1") 2>/dev/null; then (cd "$1" && pwd -P)
  elif [ -L "$1" ]; then readlink "$1"
  else up=$(cd "$(parent_of "$1")" 2>/dev/null && pwd -P) && printf '%s\\n' "\${up%/}/\${1##*/}"; fi
}
mounts() { awk '{ at = $2; gsub(/\\\\040/, " ", at); print at }' /proc/self/mounts; }
# A bind mount has its parent's device number.
is_mount() { [ "$(stat -c %d "$1")" != "$(stat -c %d "$1/..")" ] || mounts | grep -qxF -e "$1"; }
is_empty() { names=$(ls -A "$1" 2>/dev/null) && [ -z "$names" ]; }
mark_of() { [ ! -L "$1" ] && head -n 1 "$1/${rebuildMarkName}" 2>/dev/null; }
link_path() { case $2 in pg_wal) printf '%s\\n' "$1/pg_wal";; *) printf '%s\\n' "$1/pg_tblspc/$2";; esac; }
is_unfinished() { [ ! -f "$1/PG_VERSION" ] && { [ -f "$1/backup_label" ] || [ -f "$1/${removingMarkName}" ]; }; }
is_data() { [ -f "$1/PG_VERSION" ] || is_unfinished "$1" || is_empty "$1"; }
whole() {
  [ -d "$1" ] && [ ! -L "$1" ] && [ "$(real_path "$1")" = "$1" ] || refuse "$1 is not a directory with that real path"
  [ -O "$1" ] || refuse "$1 does not belong to $(id -un)"
}
unused() { case "$(postgres_processes "$1")" in "") ;; unreadable) refuse "$1: \${UNREADABLE#seen=}";; *) refuse "PostgreSQL processes work in $1";; esac; }
sync_paths() { sync "$@" 2>/dev/null || sync; }
identifier_of() { REAL=$1 control_file | sed -n 's/^identifier=//p'; }
same_system() {
  [ -e "$1/global/pg_control" ] || return 0
  own=$(identifier_of "$1") other=$(identifier_of "$2")
  [ -n "$own" ] || refuse "$1/global/pg_control cannot be read"
  [ "$own" = "$other" ] || refuse "$1 belongs to another cluster (system identifier $own)"
}
wipe() { (cd "$1" && [ "$(pwd -P)" = "$1" ] && find . -mindepth 1 -xdev \${2:+! -path "./$2"} -delete); }
# What PostgreSQL keeps there itself, and our mark. Prints the first other name.
strange_name() {
  case $1 in
    pg_wal) OWN='[0-9A-F]{24}([.].*)?|[0-9A-F]{8}[.]history|archive_status|summaries|[a-z]*temp[.][0-9]+|RECOVERY[A-Z]+';;
    *) OWN="PG_$3_[0-9]+";;
  esac
  ls -A "$2" | grep -vxE "$OWN|${rebuildMarkName}([.]new)?" | head -n 1
}
`;

/**
 * Arguments: DATA BIN SAVED LINKS VERSION, then OID LOCATION of every tablespace of the primary. Prints what lookScript prints,
 * then a line "--", then KEY=value lines and one line per place; see inspect-data.ts. Changes nothing.
 */
// Where the links led is known from LINKS while the data directory that held them is away: see replace-scripts.ts.
export const inspectScript = `
( ${lookScript} )
DATA=$1 BIN=$2 SAVED=$3 LINKS=$4 VERSION=$5; shift 5
${dataFunctions}
SAVED=$(home_path "$SAVED") LINKS=$(home_path "$LINKS")
# A quote is refused later: no name can end its line early.
one_line() { printf '%s' "$1" | tr '[:cntrl:]' '"'; }
END=$(( $(date +%s) + 40 ))
taken() { LEFT=$(( END - $(date +%s) )); [ "$LEFT" -gt 0 ] || LEFT=1
  timeout "$LEFT" du -skx "$1" 2>/dev/null | tail -n 1 | cut -f 1; }
strange() { echo "stranger $1 $(one_line "$2")"; }
place() {
  KIND=$1 LINK=$2 AT=$3 UP=$(parent_of "$3") EXISTS=no EMPTY=yes OWNED=no MOUNT=no RENAMABLE=no USED= LEFTOVER= ID= DEVICE= FREE=
  HOLDER=$UP
  if [ -d "$AT" ] && [ ! -L "$AT" ]; then
    EXISTS=yes ID=$(stat -c %d:%i "$AT") USED=$(taken "$AT")
    is_empty "$AT" || EMPTY=no
    [ ! -O "$AT" ] || OWNED=yes
    if is_mount "$AT"; then MOUNT=yes HOLDER=$AT; fi
  elif exists "$AT"; then EXISTS=yes EMPTY=no; fi
  # In a sticky directory only the owner of either may rename.
  if [ $MOUNT = no ] && [ -d "$UP" ] && [ -w "$UP" ] && [ -x "$UP" ] &&
    { [ ! -k "$UP" ] || [ $EXISTS = no ] || [ $OWNED = yes ] || [ -O "$UP" ]; }; then RENAMABLE=yes; fi
  if [ -d "$HOLDER" ]; then
    DEVICE=$(stat -c %d "$HOLDER") FREE=$(stat -f -c '%a * %S' "$HOLDER") && FREE=$(( $FREE ))
  fi
  [ ! -d "$AT${freshSuffix}" ] || LEFTOVER=$(taken "$AT${freshSuffix}")
  echo "place $KIND $LINK $EXISTS $EMPTY $OWNED $MOUNT $RENAMABLE \${ID:--} \${DEVICE:--} \${FREE:--} \${USED:--} \${LEFTOVER:-0} $(one_line "$AT")"
  [ $EXISTS = yes ] || return 0
  mounts | while IFS= read -r INNER; do case $INNER in "$AT"/*) strange "$LINK" "$INNER"; break;; esac; done
  case $KIND in linked) NAME=$(strange_name "$LINK" "$AT" "$VERSION"); [ -z "$NAME" ] || strange "$LINK" "$AT/$NAME";; esac
}
REAL=$(real_path "$DATA") || REAL=
echo "--"
echo "real=$(one_line "$REAL")"
place data - "\${REAL:-$DATA}"
case $(real_path "$SAVED")/ in "$REAL"/*) strange - "$SAVED";; esac
case \${LINKS%/*}/ in "$REAL"/*) strange - "\${LINKS%/*}";; esac
[ ! -f "$REAL/PG_VERSION" ] || echo "version=$(head -n 1 "$REAL/PG_VERSION")"
echo "mark=$(mark_of "$REAL")"
! is_unfinished "$REAL" || echo "unfinished=yes"
[ -d "$REAL" ] || [ -z "$(postgres_processes "$REAL")" ] || echo "deleted=yes"
# The first start renames backup_label.
if [ -f "$REAL/backup_label" ] && [ -z "$(postgres_processes "$REAL")" ]; then echo "copied=yes"; fi
if [ -e "$REAL/global/pg_control" ]; then echo "control=yes"; control_file; fi
echo "wal=$(ls "$REAL/pg_wal/" 2>/dev/null | grep -xE '[0-9A-F]{24}' | sort | tail -n 1 | cut -c 1-8)"
SEEN=
linked() { place linked "$1" "$2"; SEEN="$SEEN $1 "; }
if [ -e "$REAL/global/pg_control" ] || [ ! -f "$LINKS" ]; then
  for LINK in "$REAL/pg_wal" "$REAL"/pg_tblspc/*; do
    [ ! -L "$LINK" ] || linked "\${LINK##*/}" "$(real_path "$LINK")"
  done
else
  while IFS= read -r LINE; do linked "\${LINE%% *}" "\${LINE#* }"; done <"$LINKS"
fi
while [ $# -gt 1 ]; do
  case $SEEN in *" $1 "*) ;; *) place missing "$1" "$(real_path "$2" || printf '%s' "$2")";; esac
  shift 2
done
cat /proc/sys/kernel/random/boot_id | sed 's/^/machine=/'
`;

/** Arguments: DATA, then paths. On the primary's host: which machine that is, and which directories those are there. */
export const identifyScript = `
cat /proc/sys/kernel/random/boot_id | sed 's/^/machine=/'
stat -L -c 'primary=%d:%i' "$1/pg_wal" "$@" 2>/dev/null
exit 0
`;
