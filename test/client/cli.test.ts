// The command line through main(): exit codes, what goes to stdout and stderr, and the script that starts it.

import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { main } from '../../client/cli';
import { parseClusterFile } from '../../configuration/load';
import { formatHookConf, formatPgpoolConf } from '../../domain/texts/pgpool-conf';
import { clusterFile, edit } from '../configuration/cluster-file';

const root = join(__dirname, '..', '..');
const packageJson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  version: string;
  bin: Record<string, string>;
};
const directory = mkdtempSync(join(tmpdir(), 'cli-'));
const shop = join(directory, 'shop.yaml');
const bad = join(directory, 'bad.yaml');
const configuration = parseClusterFile(clusterFile, shop);

beforeAll(() => {
  writeFileSync(shop, clusterFile);
  writeFileSync(bad, edit(edit(clusterFile, 'shop', 'Shop'), 'id: 1', 'id: 0'));
});

afterAll(() => {
  rmSync(directory, { recursive: true });
});

interface Run {
  readonly exitCode: number;
  readonly out: string;
  readonly error: string;
}

async function run(...argv: string[]): Promise<Run> {
  let [out, error] = ['', ''];
  const io = { writeOut: (text: string) => void (out += text), writeError: (text: string) => void (error += text) };
  const exitCode = await main(argv, io);
  return { exitCode, out, error };
}

test('help and version are answers, not errors', async () => {
  expect(await run('--version')).toEqual({ exitCode: 0, out: `${packageJson.version}\n`, error: '' });
  const help = await run('--help');
  expect(help).toMatchObject({ exitCode: 0, error: '' });
  for (const command of [
    'worker',
    'check',
    'pgpool-conf',
    'hook-conf',
    'rejoin',
    'decide',
    'plan',
    'record',
    'maintenance',
  ])
    expect(help.out).toContain(`\n  ${command} `);
  expect(await run('check', '--help')).toMatchObject({ exitCode: 0, error: '' });
});

test.each([
  ['no command', [], /^Usage: pgpool-runbook/],
  ['an unknown command', ['promote'], /^error: unknown command 'promote'\n$/],
  ['an unknown option', ['check', '--config', shop, '--force'], /^error: unknown option '--force'\n$/],
  ['no cluster file', ['check'], /^error: required option '-c, --config <files...>' not specified\n$/],
  ['a superfluous argument', ['hook-conf', '--config', shop, 'extra'], /^error: too many arguments/],
  [
    'an unknown output format',
    ['check', '--config', shop, '-o', 'xml'],
    /^error: option '-o, --output <format>' argument 'xml'/,
  ],
])('%s is a usage error on stderr', async (_title, argv, error) => {
  expect(await run(...argv)).toEqual({ exitCode: 2, out: '', error: expect.stringMatching(error) as string });
});

describe('check', () => {
  test('prints one line per valid cluster', async () => {
    const line = `${shop}: cluster shop is valid (nodes 0, 1, 2; pgpool pgpool0)\n`;
    expect(await run('check', '--config', shop)).toEqual({ exitCode: 0, out: line, error: '' });
  });

  test('prints JSON with -o json', async () => {
    const { exitCode, out } = await run('check', '--config', shop, '-o', 'json');
    expect([exitCode, JSON.parse(out)]).toEqual([
      0,
      { clusters: [{ cluster: 'shop', file: shop, nodes: [0, 1, 2], pgpool: ['pgpool0'] }] },
    ]);
  });

  test('lists every problem of every file with its line, and nothing else', async () => {
    const missing = join(directory, 'missing.yaml');
    const { exitCode, out, error } = await run('check', '--config', bad, shop, shop, missing);
    expect([exitCode, out]).toEqual([2, '']);
    expect(error.trimEnd().split('\n')).toEqual([
      `${bad}:1: cluster must be 1 to 40 of a-z 0-9 -, not "Shop"`,
      `${bad}:4: nodes[1].id repeats 0, which nodes[0] already has: give every node its own id`,
      `${shop}:1: cluster shop is already in ${shop}: give it another name, or pass one of the files`,
      `${missing}:1: the cluster file cannot be read (ENOENT): check the path and its permissions`,
    ]);
  });

  test('lists the same problems as JSON on stdout', async () => {
    const { exitCode, out, error } = await run('check', '--config', bad, '--output', 'json');
    expect([exitCode, JSON.parse(out)]).toEqual([2, { errors: error.trimEnd().split('\n') }]);
    expect(error.split('\n')).toHaveLength(3);
  });
});

describe('pgpool-conf', () => {
  test("prints the fragment with this package's hook", async () => {
    const { exitCode, out } = await run('pgpool-conf', '--config', shop, '--pgpool', 'pgpool0');
    const hookPath = /^failover_command = '(\S+) -c/m.exec(out)?.[1] ?? '';
    expect(isAbsolute(hookPath) && existsSync(hookPath)).toBe(true);
    const options = { hookPath, hookConfPath: '/etc/pgpool-runbook/hook.conf', pgpoolName: 'pgpool0' };
    expect([exitCode, out]).toEqual([0, formatPgpoolConf(configuration, options)]);
  });

  test('takes other paths, and prints JSON with -o json', async () => {
    const options = ['--hook', '/opt/hook.sh', '--hook-conf', '/opt/hook.conf', '-o', 'json'];
    const { exitCode, out } = await run('pgpool-conf', '--config', shop, ...options);
    const pgpoolConf = formatPgpoolConf(configuration, { hookPath: '/opt/hook.sh', hookConfPath: '/opt/hook.conf' });
    expect([exitCode, JSON.parse(out)]).toEqual([0, { pgpoolConf }]);
  });

  test('--write puts the block into pgpool.conf once, and keeps what is there, its mode and its own choices', async () => {
    const file = join(mkdtempSync(join(directory, 'pgpool-conf-')), 'pgpool.conf');
    writeFileSync(file, "sr_check_user = 'checker'\nbackend_flag1 = 'DISALLOW_TO_FAILOVER'\n", { mode: 0o640 });
    const write = (...more: string[]) =>
      run('pgpool-conf', '--config', shop, '--hook', '/opt/hook.sh', '--write', file, ...more);
    const flagged = `warning: ${file}: backend_flag1 = 'DISALLOW_TO_FAILOVER': pgpool tells no hook of that node's failure`;
    const reload = 'reload pgpool (changed backends, ports and modes: restart it)';
    expect((await write()).out.trimEnd().split('\n')).toEqual([`${file}: the block was added`, flagged, reload]);
    const first = readFileSync(file, 'utf8');
    expect(first).toMatch(/^sr_check_user = 'checker'\nbackend_flag1/);
    expect(first.match(/^sr_check_user = .*$/gm)).toEqual(["sr_check_user = 'checker'"]);
    expect(first).toMatch(/^health_check_user = 'postgres'$/m);
    expect((await write()).out).toBe(`${file}: the block is as it was\n${flagged}\n`);
    expect(JSON.parse((await write('--pgpool', 'pgpool0', '-o', 'json')).out)).toMatchObject({ change: 'replaced' });
    expect(readFileSync(file, 'utf8').match(/# BEGIN/g)).toHaveLength(1);
    expect([statSync(file).mode & 0o777, readdirSync(dirname(file))]).toEqual([0o640, ['pgpool.conf']]);
    const away = await run('pgpool-conf', '--config', shop, '--write', `${file}/away`);
    expect(away).toMatchObject({ exitCode: 2, error: expect.stringContaining('cannot use') as string });
  });

  test.each([
    [
      'an unknown pgpool',
      ['--pgpool', 'pgpool9'],
      'pgpool-runbook: cluster shop has no pgpool pgpool9: it has pgpool0\n',
    ],
    ['a relative hook', ['--hook', 'hook.sh'], /^pgpool-runbook: hook path must be absolute.*"hook.sh"\n$/],
  ])('refuses %s', async (_title, options, error) => {
    const result = await run('pgpool-conf', '--config', shop, ...options);
    expect(result).toEqual({ exitCode: 2, out: '', error: expect.stringMatching(error) as string });
  });
});

describe('hook-conf', () => {
  test("derives Temporal's HTTP address from the cluster file", async () => {
    const options = { temporalHttp: 'http://127.0.0.1:7243', spool: '/var/lib/pgpool-runbook/shop' };
    const expected = { exitCode: 0, out: formatHookConf(configuration, options), error: '' };
    expect(await run('hook-conf', '--config', shop)).toEqual(expected);
  });

  test('takes an address and a spool', async () => {
    const options = ['--temporal-http', 'https://t:1', '--spool', '/spool', '-o', 'json'];
    const { out } = await run('hook-conf', '--config', shop, ...options);
    const hookConf = formatHookConf(configuration, { temporalHttp: 'https://t:1', spool: '/spool' });
    expect(JSON.parse(out)).toEqual({ hookConf });
  });

  test('refuses an address with a password without repeating it', async () => {
    const { exitCode, error } = await run('hook-conf', '--config', shop, '--temporal-http', 'http://u:s3cret@t:1');
    expect([exitCode, error.includes('s3cret'), error.split('\n').length]).toEqual([2, false, 2]);
  });
});

describe('worker', () => {
  test('refuses a bad cluster file before anything is started', async () => {
    const result = await run('worker', '--config', shop, bad);
    expect(result).toMatchObject({
      exitCode: 2,
      out: '',
      error: expect.stringContaining(`${bad}:1: cluster`) as string,
    });
  });

  test('says that Temporal cannot be reached, and where it looked', async () => {
    const offline = join(directory, 'offline.yaml');
    writeFileSync(offline, `${clusterFile}temporal: { address: '127.0.0.1:1' }\n`);
    const { exitCode, error } = await run('worker', '--config', offline);
    expect([exitCode, error]).toEqual([
      3,
      expect.stringMatching(/^pgpool-runbook: cannot reach Temporal at 127\.0\.0\.1:1 \(.+\): start it, or .+\n$/),
    ]);
  }, 30_000);
});

describe('the installed script', () => {
  const script = join(root, 'client', 'pgpool-runbook.js');

  test('is executable and what package.json names', () => {
    expect(join(root, packageJson.bin['pgpool-runbook'] ?? '')).toBe(script);
    expect(statSync(script).mode & 0o111).toBe(0o111);
  });

  test('says how to build what is not built', () => {
    const copy = join(directory, 'unbuilt', 'client', 'pgpool-runbook.js');
    mkdirSync(join(directory, 'unbuilt', 'client'), { recursive: true });
    copyFileSync(script, copy);
    const { status, stdout, stderr } = spawnSync(process.execPath, [copy, 'check'], { encoding: 'utf8' });
    expect([status, stdout, stderr]).toEqual([
      2,
      '',
      expect.stringMatching(/^pgpool-runbook: .+: run npm run build\n$/),
    ]);
  });

  test('passes its arguments on and exits with the result', () => {
    const built = join(directory, 'built');
    mkdirSync(join(built, 'client'), { recursive: true });
    mkdirSync(join(built, 'dist', 'client'), { recursive: true });
    copyFileSync(script, join(built, 'client', 'pgpool-runbook.js'));
    const cli = 'exports.main = async (argv) => { console.log(JSON.stringify(argv)); return argv.length; };\n';
    writeFileSync(join(built, 'dist', 'client', 'cli.js'), cli);
    const { status, stdout } = spawnSync(join(built, 'client', 'pgpool-runbook.js'), ['a', '-b', 'c d', ''], {
      encoding: 'utf8',
    });
    expect([status, JSON.parse(stdout)]).toEqual([4, ['a', '-b', 'c d', '']]);
  });
});
