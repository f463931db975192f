// Finding PostgreSQL, pgpool and the rest in directories made for the purpose, and saying what is missing.

import { join } from 'node:path';
import { load, useFolder, writeProgram } from './modules';

const { findPostgres, findPgpool, inspectForCheck, inspectSystem } = load('system.js');
const { describeMissing } = load('tools.js');
const { isAtLeast } = load('versions.js');
const folder = useFolder();

const programs = ['initdb', 'pg_ctl', 'pg_controldata', 'pg_basebackup', 'pg_rewind', 'psql'];
const releases = (): unknown => [{ parent: join(folder(), 'lib'), pattern: /^([\d.]+)$/ }];

function installPostgres(release: string, version = `${release}.3`, names = programs): string {
  const bin = join(folder(), 'lib', release, 'bin');
  for (const name of names) writeProgram(bin, name, 'exit 0');
  writeProgram(bin, 'postgres', `echo 'postgres (PostgreSQL) ${version}'`);
  return bin;
}

test.each([
  ['1.7', '1.7', true],
  ['1.10.2', '1.7', true],
  ['2', '1.7', true],
  ['1.7.0', '1.7', true],
  ['1.6.9', '1.7', false],
  ['15.18 (Debian)', '13', true],
  ['9.6', '13', false],
  ['17beta1', '13', true],
  ['', '1', false],
  ['devel', '1', false],
])('version %p is at least %s: %p', (version, minimum, expected) => {
  expect(isAtLeast(version, minimum)).toBe(expected);
});

describe('PostgreSQL', () => {
  it('is taken from the newest release, by number', () => {
    installPostgres('9', '9.6.24');
    installPostgres('15');
    const bin = installPostgres('17', '17beta1');
    expect(findPostgres([], releases())).toEqual({ bin, version: '17' });
  });

  it('is taken from the directory that pg_config names, although a newer release is there', () => {
    installPostgres('17');
    const bin = installPostgres('15');
    const path = join(folder(), 'path');
    writeProgram(path, 'pg_config', `[ "$1" = --bindir ] && echo '${bin}'`);
    expect(findPostgres([path], releases())).toEqual({ bin, version: '15.3' });
  });

  it('is looked for further when pg_config names a directory without a server', () => {
    const path = join(folder(), 'path');
    writeProgram(path, 'pg_config', `echo '${join(folder(), 'nowhere')}'`);
    const bin = installPostgres('15');
    expect(findPostgres([path], releases())).toEqual({ bin, version: '15.3' });
  });

  it('is looked for further when the newest release lacks a program', () => {
    installPostgres('17', '17.1', ['initdb']);
    const bin = installPostgres('15');
    expect(findPostgres([], releases())).toEqual({ bin, version: '15.3' });
  });

  it('is found in PATH', () => {
    const bin = installPostgres('14');
    expect(findPostgres([bin], [])).toEqual({ bin, version: '14.3' });
  });

  it('is refused by name when it is too old', () => {
    const bin = installPostgres('12');
    expect(findPostgres([], releases())).toEqual({ problem: `${bin} is PostgreSQL 12.3` });
  });

  it('is refused with the programs that it lacks', () => {
    const bin = installPostgres('15', '15.1', ['initdb', 'pg_ctl', 'psql', 'pg_controldata']);
    expect(findPostgres([], releases())).toEqual({ problem: `${bin} lacks pg_basebackup, pg_rewind` });
  });
});

describe('pgpool', () => {
  it('tells its version on stderr', () => {
    const path = writeProgram(folder(), 'pgpool', `echo 'pgpool-II version 4.3.5 (tamahomeboshi)' >&2`);
    expect(findPgpool([folder()])).toEqual({ path, version: '4.3.5' });
  });

  it('is refused when older than 4.2', () => {
    const path = writeProgram(folder(), 'pgpool', `echo 'pgpool-II version 4.1.4 (karasukiboshi)'`);
    expect(findPgpool([folder()])).toEqual({ problem: `${path} is pgpool 4.1.4` });
  });
});

describe('what is missing', () => {
  const inspect = (options: object): string[] =>
    inspectSystem({ directories: [folder()], folders: [], ...options }).missing.map(({ what }) => what);

  it('is everything in an empty directory', () => {
    const always = [
      'PostgreSQL server >= 13',
      'pgpool-II >= 4.2',
      'sshd',
      'ssh-keygen',
      'curl',
      'flock',
      'setsid',
      'timeout',
    ];
    expect(inspect({ isRoot: false })).toEqual(always);
    expect(inspect({ isRoot: false, withTests: true })).toEqual([...always, 'bash', 'dash']);
    expect(inspect({ isRoot: true })).toEqual(expect.arrayContaining(['runuser', 'iptables']));
  });

  it('is only shellcheck for npm run check, and one sentence says how to get it', () => {
    const missing = inspectForCheck([folder()]);
    expect(describeMissing(missing, true)).toMatch(
      /- shellcheck \(not in PATH[\s\S]*install --no-install-recommends shellcheck$/,
    );
    writeProgram(folder(), 'shellcheck', '');
    expect(inspectForCheck([folder()])).toEqual([]);
  });

  it('is nothing when all is there, and the paths are told', () => {
    const bin = installPostgres('15');
    writeProgram(folder(), 'pgpool', 'echo pgpool-II version 4.5.0');
    for (const name of ['sshd', 'ssh-keygen', 'curl', 'flock', 'setsid', 'timeout']) writeProgram(folder(), name, '');
    const { found, missing } = inspectSystem({ directories: [folder()], folders: releases(), isRoot: false });
    expect(missing).toEqual([]);
    expect(found).toEqual({
      postgresBin: bin,
      pgpool: join(folder(), 'pgpool'),
      sshd: join(folder(), 'sshd'),
      sshKeygen: join(folder(), 'ssh-keygen'),
      curl: join(folder(), 'curl'),
      versions: { postgres: '15.3', pgpool: '4.5.0' },
    });
  });

  it('is said with what was seen and one command that gets each package once', () => {
    const { missing } = inspectSystem({ directories: [folder()], folders: [], isRoot: false });
    const text = describeMissing(missing, true);
    expect(text).toContain('  - pgpool-II >= 4.2 (no pgpool in PATH or /usr/sbin)\n');
    expect(text).toContain(
      'apt-get install --no-install-recommends postgresql postgresql-client pgpool2 openssh-server openssh-client curl util-linux coreutils',
    );
    expect(describeMissing(missing, false)).not.toContain('apt-get');
  });
});
