// Finds the lab's programs without installing anything, and tells a person how to get the missing ones.
'use strict';
const fs = require('node:fs');
const { SetupError, programDirectories } = require('./run.js');
const { inspectSystem } = require('./system.js');
const { findTemporal } = require('./temporal.js');

const isRoot = () => typeof process.getuid === 'function' && process.getuid() === 0;

/** Debian and its descendants have packages with the names in system.js. */
function isDebian(file = '/etc/os-release') {
  if (!fs.existsSync(file)) return false;
  return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(fs.readFileSync(file, 'utf8'));
}

const packagesOf = (missing) => [...new Set(missing.flatMap(({ packages }) => packages))];

function describeMissing(missing, debian) {
  const lines = missing.map(({ what, seen }) => `  - ${what} (${seen})`);
  const packages = packagesOf(missing).join(' ');
  const how = debian
    ? [
        `Either run this command as root, which installs them without starting any service, or get them with:`,
        `  sudo apt-get update && sudo apt-get install --no-install-recommends ${packages}`,
      ]
    : [`Install them with your system's package manager (Debian's names: ${packages}) so that they are in PATH.`];
  return ['missing on this machine:', ...lines, ...how].join('\n');
}

/**
 * { postgresBin, pgpool, sshd, sshKeygen, curl, temporal, versions: { postgres, pgpool, temporal } }: full paths and versions.
 * Throws one error that lists everything missing.
 */
function findTools(environment = process.env) {
  const { found, missing } = inspectSystem({ directories: programDirectories(environment), isRoot: isRoot() });
  if (missing.length > 0) throw new SetupError(describeMissing(missing, isDebian()));
  const temporal = findTemporal(environment);
  if (!temporal.path) throw new SetupError(`no Temporal CLI: ${temporal.problem}. Run: node lab/setup.js`);
  return { ...found, temporal: temporal.path, versions: { ...found.versions, temporal: temporal.version } };
}

module.exports = { findTools, isRoot, isDebian, packagesOf, describeMissing };
