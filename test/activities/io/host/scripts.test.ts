// Words of the scripts on a host that lacks a program that they need: never that nothing runs there.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Values } from '../../../../activities/io/host/answer';
import { parseHostFacts } from '../../../../activities/io/host/host-facts';
import { scripts } from '../../../../activities/io/host/scripts';

const programs = [
  'date',
  'id',
  'sed',
  'find',
  'cat',
  'readlink',
  'flock',
  'sync',
  'mkdir',
  'sleep',
  'timeout',
  'sh',
  'kill',
];
let directory: string;
let data: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'scripts-'));
  data = join(directory, 'data');
  mkdirSync(join(data, 'global'), { recursive: true });
  writeFileSync(join(data, 'PG_VERSION'), '15\n');
  for (const name of ['global/pg_control', 'postmaster.opts', 'postgresql.conf']) writeFileSync(join(data, name), '');
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

/** On a host with these programs only. */
function run(script: string, args: readonly string[], names: readonly string[]) {
  const path = mkdtempSync(join(directory, 'path-'));
  for (const name of names) {
    const file = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).stdout.trim();
    if (file.startsWith('/')) symlinkSync(file, join(path, name));
  }
  const ran = spawnSync('/bin/sh', ['-s', ...args], { input: script, encoding: 'utf8', env: { PATH: path } });
  return { exitCode: ran.status, output: ran.stdout, said: ran.stderr };
}
const look = (names: readonly string[]) =>
  parseHostFacts(new Values(run(scripts.look, [data, '/none'], names).output), Date.now());
const acting = () => [join(directory, 'lock'), String(Date.now()), String(Date.now() + 20_000), 'a test'];

test('with grep, a directory in which nothing works has no processes', () => {
  expect(look([...programs, 'grep']).processes).toBe('none');
});

test('without grep it is unknown what runs there', () => {
  expect(look(programs)).toMatchObject({
    processes: 'unknown',
    seen: expect.stringContaining('grep is missing') as string,
  });
});

test('without grep nothing is fenced', () => {
  const { exitCode, output, said } = run(
    scripts.fence,
    [...acting(), data, '/none', 'true', 'no', 'before-promotion'],
    programs,
  );
  expect({ exitCode, said }).toEqual({ exitCode: 1, said: expect.stringContaining('grep is missing') as string });
  expect(output).not.toContain('how=');
});

test('without grep nothing counts as stopped', () => {
  const { exitCode, output } = run(scripts.stop, [...acting(), data, '/none', 'true', 'no', 'no'], programs);
  expect(exitCode).toBe(1);
  expect(output).not.toContain('how=');
});

test('without grep nothing is started', () => {
  const { exitCode, said } = run(scripts.start, [...acting(), data, '/none', 'true', 'no'], programs);
  expect({ exitCode, said }).toEqual({ exitCode: 1, said: expect.stringContaining('grep is missing') as string });
});

test('without du there is no set of configuration files, and with it there is one', () => {
  const needed = ['head', 'ls', 'grep', 'sort', 'tail', 'stat', 'sha256sum', 'cp', 'mv', 'rm', 'chmod', 'wc', 'cut'];
  const save = (names: readonly string[]) =>
    run(scripts.saveConfiguration, [...acting(), data, join(directory, 'saved'), join(directory, 'jobs')], names);
  const without = save([...programs, ...needed]);
  expect(without.exitCode).toBe(1);
  expect(without.output).not.toMatch(/^(set|saved)=/m);
  const saved = save([...programs, ...needed, 'du']);
  expect(saved).toMatchObject({ exitCode: 0, output: expect.stringMatching(/^saved=1$/m) as string });
});
