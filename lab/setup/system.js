// The system's programs that the lab runs: finds them, and names the package of each missing one. apt.js installs.
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { findProgram, isExecutable, readFirstLine } = require('./run.js');
const { minimum, isAtLeast } = require('./versions.js');

// All come from one directory: mixed releases (psql of one, initdb of another) fail in confusing ways.
const serverPrograms = ['postgres', 'initdb', 'pg_ctl', 'pg_controldata', 'pg_basebackup', 'pg_rewind', 'psql'];

/** Debian's, and the PostgreSQL yum repository's, places for one directory per release. */
const releaseFolders = [
  { parent: '/usr/lib/postgresql', pattern: /^([\d.]+)$/ },
  { parent: '/usr', pattern: /^pgsql-([\d.]+)$/ },
];

function listReleases(folders) {
  const found = [];
  for (const { parent, pattern } of folders) {
    if (!fs.existsSync(parent)) continue;
    for (const name of fs.readdirSync(parent)) {
      const match = pattern.exec(name);
      if (match) found.push({ release: Number(match[1]), bin: path.join(parent, name, 'bin') });
    }
  }
  return found.sort((left, right) => right.release - left.release).map(({ bin }) => bin);
}

/** Candidates: `pg_config --bindir` may name a directory that does not exist, if only a client library is installed. */
function listPostgresDirectories(directories, folders) {
  const pgConfig = findProgram('pg_config', directories);
  const named = pgConfig && readFirstLine(pgConfig, ['--bindir']);
  return [...new Set([...(named ? [named] : []), ...listReleases(folders), ...directories])];
}

/** { bin, version }, or { problem } in words. */
function findPostgres(directories, folders = releaseFolders) {
  let problem = `no directory has all of ${serverPrograms.join(', ')}`;
  for (const bin of listPostgresDirectories(directories, folders)) {
    if (!isExecutable(path.join(bin, 'postgres'))) continue;
    const missing = serverPrograms.filter((name) => !isExecutable(path.join(bin, name)));
    const version = /(\d+[\d.]*)/.exec(readFirstLine(path.join(bin, 'postgres'), ['--version']) ?? '')?.[1];
    if (missing.length > 0) problem = `${bin} lacks ${missing.join(', ')}`;
    else if (!version) problem = `${path.join(bin, 'postgres')} --version fails`;
    else if (isAtLeast(version, minimum.postgres)) return { bin, version };
    else problem = `${bin} is PostgreSQL ${version}`;
  }
  return { problem };
}

/** { path, version }, or { problem } in words. */
function findPgpool(directories) {
  const file = findProgram('pgpool', directories);
  if (!file) return { problem: 'no pgpool in PATH or /usr/sbin' };
  const version = /version (\d+[\d.]*)/.exec(readFirstLine(file, ['--version']) ?? '')?.[1];
  if (!version) return { problem: `${file} --version does not tell a version` };
  return isAtLeast(version, minimum.pgpool) ? { path: file, version } : { problem: `${file} is pgpool ${version}` };
}

function hasUser(name, file = '/etc/passwd') {
  if (readFirstLine('id', ['-u', name]) !== null) return true;
  return (
    fs.existsSync(file) &&
    fs
      .readFileSync(file, 'utf8')
      .split('\n')
      .some((line) => line.startsWith(`${name}:`))
  );
}

const plainPrograms = [
  { name: 'sshd', package: 'openssh-server', key: 'sshd' },
  { name: 'ssh-keygen', package: 'openssh-client', key: 'sshKeygen' },
  { name: 'curl', package: 'curl', key: 'curl' },
  { name: 'flock', package: 'util-linux' },
  { name: 'setsid', package: 'util-linux' },
  { name: 'timeout', package: 'coreutils' },
];
const rootPrograms = [
  { name: 'runuser', package: 'util-linux' },
  { name: 'iptables', package: 'iptables' },
];
const testPrograms = [
  { name: 'bash', package: 'bash' },
  { name: 'dash', package: 'dash' },
];
const checkPrograms = [{ name: 'shellcheck', package: 'shellcheck' }];

const describeProgram = ({ name, package: from }) => ({
  what: name,
  seen: 'not in PATH or /usr/sbin',
  packages: [from],
});

/** The programs that `npm run check` lacks besides npm packages, as inspectSystem's `missing`. */
function inspectForCheck(directories) {
  return checkPrograms.filter(({ name }) => !findProgram(name, directories)).map(describeProgram);
}

/**
 * Looks for every program. `found` holds paths and versions; `missing` one { what, seen, packages } per unmet need,
 * with Debian's package names. Options: directories (of programs), isRoot, withTests, folders (for tests of this file).
 */
function inspectSystem({ directories, isRoot, withTests = false, folders = releaseFolders }) {
  const missing = [];
  const found = { versions: {} };
  const postgres = findPostgres(directories, folders);
  if (postgres.bin) {
    found.postgresBin = postgres.bin;
    found.versions.postgres = postgres.version;
  } else {
    const packages = ['postgresql', 'postgresql-client'];
    missing.push({ what: `PostgreSQL server >= ${minimum.postgres}`, seen: postgres.problem, packages });
  }
  const pgpool = findPgpool(directories);
  if (pgpool.path) {
    found.pgpool = pgpool.path;
    found.versions.pgpool = pgpool.version;
  } else {
    missing.push({ what: `pgpool-II >= ${minimum.pgpool}`, seen: pgpool.problem, packages: ['pgpool2'] });
  }
  for (const program of [...plainPrograms, ...(isRoot ? rootPrograms : []), ...(withTests ? testPrograms : [])]) {
    const file = findProgram(program.name, directories);
    if (!file) missing.push(describeProgram(program));
    else if (program.key) found[program.key] = file;
  }
  if (isRoot && !hasUser('postgres')) {
    const seen = 'PostgreSQL refuses to run as root, so the lab runs it as this user';
    missing.push({ what: 'the system user postgres', seen, packages: ['postgresql'] });
  }
  return { found, missing };
}

module.exports = { inspectSystem, inspectForCheck, findPostgres, findPgpool };
