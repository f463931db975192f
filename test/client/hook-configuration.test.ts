// hook.sh and bad input: exit 2, one line that says where and what to do, and nothing sent, spooled or run.
import * as fs from 'node:fs';
import * as path from 'node:path';
import fc from 'fast-check';
import { Bench, type FakeTemporal, shells, startTemporal } from './hook-support';

jest.setTimeout(60_000);

describe.each(shells)('hook.sh under %s refuses', (shell) => {
  let temporal: FakeTemporal;
  let bench: Bench;
  beforeEach(async () => {
    temporal = await startTemporal();
    bench = new Bench(shell);
    bench.configure(temporal.port);
  });
  afterEach(async () => {
    await temporal.close();
    await bench.remove();
  });

  async function expectRefusal(args: readonly string[], line: string): Promise<void> {
    expect(await bench.run(args)).toMatchObject({ code: 2, stdout: `pgpool-runbook: ${line}\n`, stderr: '' });
    expect(temporal.received).toEqual([]);
    expect(fs.readdirSync(bench.directory).sort()).toEqual(['bin', 'hook.conf', 'hook.sh']);
  }

  const placeholders = 'in pgpool.conf, write: hook.sh failover %d %m %P';
  const junk = (name: string): string => `${name} must be a node id (0-127), or -1 or empty for none; ${placeholders}`;
  const usage = 'usage: hook.sh [-c FILE] failover|follow %d %m %P, or hook.sh [-c FILE] deliver';
  it.each([
    ['no verb', [], usage],
    ['an unknown verb', ['promote', '0', '1', '0'], usage],
    ['too few arguments', ['failover', '0', '1'], usage],
    ['too many arguments', ['failover', '0', '1', '0', '10.0.0.1'], usage],
    ['arguments of deliver', ['deliver', '0'], usage],
    ['a failover of no node', ['failover', '-1', '1', '0'], `%d names no node; ${placeholders}`],
    ['an empty %d', ['failover', '', '1', '0'], `%d names no node; ${placeholders}`],
    ['a host name', ['failover', '0', 'node1', '0'], junk('%m')],
    ['an id beyond 127', ['failover', '128', '1', '0'], junk('%d')],
    ['a sign', ['failover', '0', '1', '+0'], junk('%P')],
    ['-2', ['failover', '0', '1', '-2'], junk('%P')],
    ['a leading zero, which JSON has not', ['failover', '00', '1', '0'], junk('%d')],
    ['two ids in one', ['failover', '0 1', '1', '0'], junk('%d')],
    ['a fraction', ['failover', '1.0', '1', '0'], junk('%d')],
    ['a command substitution', ['failover', '$(touch made)', '1', '0'], junk('%d')],
    ['a backquote', ['failover', '0', '`touch made`', '0'], junk('%m')],
    ['a pattern', ['failover', '0', '*', '0'], junk('%m')],
    ['JSON', ['failover', '0', '0,"x":1', '0'], junk('%m')],
    ['a line end', ['failover', '0', '1', '0\n1'], junk('%P')],
  ])('%s', async (_story, args, line) => {
    await expectRefusal(args, line);
  });

  it('or understands any argument, and never runs it', async () => {
    const text = fc.string({ unit: 'binary', maxLength: 12 }).filter((value) => !value.includes('\0'));
    const id = fc.integer({ min: -3, max: 200 }).map((value) => ` ${value}`);
    await fc.assert(
      fc.asyncProperty(fc.oneof(text, id), async (argument) => {
        const { code, stdout } = await bench.run(['follow', '2', argument, '0']);
        const trimmed = argument.replace(/^[ \t\n\v\f\r]+|[ \t\n\v\f\r]+$/g, '');
        const isId = /^(|-1|\d|[1-9]\d|1[01]\d|12[0-7])$/.test(trimmed);
        expect({ argument, code }).toEqual({ argument, code: isId ? 0 : 2 });
        expect(stdout).toMatch(/^pgpool-runbook: .*\n$/);
      }),
      { numRuns: 40 },
    );
  });

  const at = (line: number, text: string): string => `FILE line ${line}: ${text}`;
  const web = 'like http://127.0.0.1:7243';
  it.each<[string, Record<string, string | null>, string]>([
    ['a capital in CLUSTER', { CLUSTER: 'Shop' }, at(1, 'CLUSTER must be 1-40 of a-z 0-9 -, as in the cluster file')],
    ['a slash in CLUSTER', { CLUSTER: 'a/b' }, at(1, 'CLUSTER must be 1-40 of a-z 0-9 -, as in the cluster file')],
    ['41 characters', { CLUSTER: 'a'.repeat(41) }, at(1, 'CLUSTER must be 1-40 of a-z 0-9 -, as in the cluster file')],
    ['no scheme', { TEMPORAL_HTTP: '127.0.0.1:7243' }, at(2, `TEMPORAL_HTTP must be ${web}`)],
    ['no host', { TEMPORAL_HTTP: 'http:///x' }, at(2, `TEMPORAL_HTTP must be ${web}`)],
    [
      'a password, which is not repeated',
      { TEMPORAL_HTTP: 'http://me:secret@host' },
      at(2, `TEMPORAL_HTTP must be ${web}; secrets belong in CURL_OPTIONS_FILE`),
    ],
    ['a blank in NAMESPACE', { NAMESPACE: 'a b' }, at(3, 'NAMESPACE must be 1-200 of A-Z a-z 0-9 . _ -')],
    ['a quote in TASK_QUEUE', { TASK_QUEUE: '"x' }, at(4, 'TASK_QUEUE must be 1-200 of A-Z a-z 0-9 . _ -')],
    ['a relative SPOOL', { SPOOL: 'spool' }, at(5, 'SPOOL must be an absolute path, without quotes')],
    ['a quoted SPOOL', { SPOOL: '"/spool"' }, at(5, 'SPOOL must be an absolute path, without quotes')],
    ['no number', { WAIT_SECONDS: 'long' }, at(6, 'WAIT_SECONDS must be 1 to 300')],
    ['no wait', { WAIT_SECONDS: '0' }, at(6, 'WAIT_SECONDS must be 1 to 300')],
    ['a long wait', { WAIT_SECONDS: '301' }, at(6, 'WAIT_SECONDS must be 1 to 300')],
    ['no value', { CLUSTER: '' }, at(1, 'CLUSTER has no value; set it or remove the line')],
    [
      'a relative file',
      { CURL_OPTIONS_FILE: '~/x' },
      at(7, 'CURL_OPTIONS_FILE must be an absolute path, without quotes'),
    ],
    ['a missing key', { SPOOL: null }, at(5, 'the file ends here without SPOOL; add a line SPOOL=...')],
    [
      'an unknown key',
      { Spool: '/x' },
      at(7, 'unknown key; use CLUSTER TEMPORAL_HTTP NAMESPACE TASK_QUEUE SPOOL WAIT_SECONDS CURL_OPTIONS_FILE'),
    ],
  ])('%s in the configuration', async (_story, changes, line) => {
    bench.configure(temporal.port, changes);
    await expectRefusal(['follow', '2', '1', '0'], line.replace('FILE', bench.config));
  });

  it('a key that is set twice', async () => {
    fs.appendFileSync(bench.config, '# comment\n\nCLUSTER=other\n');
    await expectRefusal(['follow', '2', '1', '0'], `${bench.config} line 9: CLUSTER is set twice; keep one`);
  });

  it('a line that is no setting, and does not run it', async () => {
    fs.appendFileSync(bench.config, 'touch made');
    const advice = 'not KEY=value; write it so, or start a comment with #';
    await expectRefusal(['follow', '2', '1', '0'], `${bench.config} line 7: ${advice}`);
  });

  it('a value that would run if it were sourced', async () => {
    bench.configure(temporal.port, { NAMESPACE: '$(touch${IFS}made)' });
    await expectRefusal(['deliver'], `${bench.config} line 3: NAMESPACE must be 1-200 of A-Z a-z 0-9 . _ -`);
  });

  it('a configuration file that is not there', async () => {
    fs.renameSync(bench.config, path.join(bench.directory, 'other.conf'));
    const { code, stdout } = await bench.run(['follow', '2', '1', '0']);
    expect(code).toBe(2);
    expect(stdout).toMatch(/^pgpool-runbook: \w+ cannot read .*hook\.conf; write it like hook\.conf\.example\n$/);
  });
});

describe.each(shells)('hook.sh under %s accepts', (shell) => {
  it('the example, blanks around keys and values, Windows line ends and no last line end', async () => {
    const temporal = await startTemporal();
    const bench = new Bench(shell);
    const example = fs.readFileSync(path.join(__dirname, '../../client/hook.conf.example'), 'utf8');
    const text = example
      .replace('127.0.0.1:7243', `127.0.0.1:${temporal.port}/`)
      .replace(/^SPOOL=.*$/m, `  SPOOL = ${bench.spool} `)
      .replaceAll('\n', '\r\n')
      .trimEnd();
    fs.writeFileSync(bench.config, text);
    expect(await bench.run(['follow', '2', '1', '0'])).toMatchObject({ code: 0 });
    expect(temporal.received[0]?.path).toContain('/api/v1/namespaces/default/workflows/pgpool-shop/');
    await temporal.close();
    await bench.remove();
  });
});
