// SqlConnections against a real server that restarts, freezes, rejects and fills up: classified, bounded, and nothing left open.
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import type { Client } from 'pg';
import { quoteLiteral, SqlConnections, SqlFailure, type SqlTarget } from '../../../../activities/io/sql/postgres';
import { sqlTarget } from '../../../../activities/io/tools';
import { type Bed, startBed, waitFor } from '../../support';

let bed: Bed;
let sql: SqlConnections;

beforeAll(async () => {
  bed = await startBed('sql', 2);
});
afterAll(() => bed.down());
beforeEach(() => {
  sql = new SqlConnections();
});
afterEach(() => sql.close());

const target = (more: Partial<SqlTarget> = {}): SqlTarget => ({
  ...sqlTarget(bed.configuration, bed.node(0)),
  ...more,
});
const ask = (text: string, timeoutMs = 5000, more: Partial<SqlTarget> = {}) =>
  sql.query<Record<string, unknown>>(target(more), text, { timeoutMs });

async function failureOf(running: Promise<unknown>): Promise<SqlFailure> {
  const error: unknown = await running.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(SqlFailure);
  return error as SqlFailure;
}

const countOurs = async (): Promise<unknown> =>
  (await bed.ask(0, `select count(*)::int as n from pg_stat_activity where application_name = 'pgpool-runbook'`))['n'];

function writePassFile(name: string, text: string, mode = 0o600): string {
  const file = path.join(bed.layout.directory, name);
  writeFileSync(file, text);
  chmodSync(file, mode);
  return file;
}
const readPassword = (): string => {
  const line = readFileSync(bed.layout.worker.passFile, 'utf8')
    .split('\n')
    .find((entry) => entry.includes(':postgres:'))!;
  return line.split(':').at(-1)!;
};

it('asks over one warm connection per server, whose statements wait for no standby', async () => {
  const [first] = await ask('select pg_backend_pid() as pid');
  const [second] = await ask(
    `select pg_backend_pid() as pid, current_setting('synchronous_commit') as waits, current_setting('statement_timeout') as timeout`,
  );
  expect(second).toEqual({ ...first, waits: 'local', timeout: '0' });
});

it('passes values apart from the text, and quotes where SQL takes no values', async () => {
  const nasty = `it's "here" \\ $1; --`;
  const rows = await sql.query(target(), 'select $1::text as value', { values: [nasty], timeoutMs: 5000 });
  expect(rows).toEqual([{ value: nasty }]);
  expect(await ask(`select ${quoteLiteral(nasty)} as value`)).toEqual([{ value: nasty }]);
});

it('lets a look pass while something long goes on, and closes what was opened for that alone', async () => {
  const long = sql.query(target(), `select 'done' as it from pg_sleep(1.5)`, { timeoutMs: 10_000, lane: 'long' });
  const acting = sql.query(target(), `select 'done' as it from pg_sleep(1)`, { timeoutMs: 10_000 });
  const look = { timeoutMs: 700, lane: 'look' } as const;
  // Both lanes are in use by then.
  await waitFor(async () => (await countOurs()) === 2, { what: 'two connections', timeoutMs: 5000 });
  for (let looks = 0; looks < 3; looks += 1)
    expect(await sql.query(target(), 'select 1 as one', look)).toEqual([{ one: 1 }]);
  expect(await Promise.all([long, acting])).toEqual([[{ it: 'done' }], [{ it: 'done' }]]);
  await waitFor(async () => (await countOurs()) === 2, { what: 'the long one to be closed', timeoutMs: 5000 });
});

it('gives up a statement that was never sent, and leaves the one before it alone', async () => {
  const [first] = await ask('select pg_backend_pid() as pid');
  const before = ask('select pg_backend_pid() as pid from pg_sleep(1)');
  const queued = failureOf(ask('select 1', 200));
  const last = ask('select pg_backend_pid() as pid');
  expect((await queued).kind).toBe('silent');
  expect([await before, await last]).toEqual([[first], [first]]);
});

it('keeps the connection after an error of the statement', async () => {
  const [first] = await ask('select pg_backend_pid() as pid');
  const failure = await failureOf(ask('select 1/0'));
  expect(failure).toMatchObject({ kind: 'rejected', sqlState: '22012' });
  expect(failure.message).toMatch(/^PostgreSQL at 127\.\d+\.0\.10:\d+: division by zero$/);
  expect(await ask('select pg_backend_pid() as pid')).toEqual([first]);
});

it('runs the statement again when a warm connection is found cut', async () => {
  const [row] = await ask('select pg_backend_pid() as pid');
  const pid = String(row!['pid']);
  // Not before the statement runs, which on that connection would take longer than it may.
  const cut = `select pg_terminate_backend(pid) as cut from pg_stat_activity where pid = ${pid} and wait_event = 'PgSleep'`;
  const [again] = await Promise.all([
    ask(`select pg_backend_pid() as pid from pg_sleep(case when pg_backend_pid() = ${pid} then 30 else 0 end)`, 15_000),
    waitFor(async () => (await bed.ask(0, cut))['cut'] === true, { what: 'the statement', timeoutMs: 10_000 }),
  ]);
  expect(again[0]!['pid']).not.toBe(row!['pid']);
});

it('reconnects after a restart, once, however many ask at the same time', async () => {
  await ask('select 1');
  await bed.stop(0, 'fast');
  expect((await failureOf(ask('select 1'))).kind).toBe('refused');
  await bed.lab.start(0);
  await ask('select 1');
  await bed.stop(0, 'immediate');
  await bed.lab.start(0);
  const rows = await Promise.all(Array.from({ length: 8 }, () => ask('select pg_backend_pid() as pid')));
  expect(new Set(rows.map(([row]) => row!['pid'])).size).toBe(1);
  expect(await countOurs()).toBe(1);
  await sql.close();
  await waitFor(async () => (await countOurs()) === 0, { what: 'every connection to close', timeoutMs: 3000 });
});

it('is silent within its time for a frozen server, warm or cold, and answers again after it', async () => {
  await ask('select 1');
  const cold = new SqlConnections();
  await bed.lab.freeze(0);
  const startedAt = Date.now();
  const failures = await Promise.all([
    failureOf(ask('select 1', 400)),
    failureOf(cold.query(target(), 'select 1', { timeoutMs: 400 })),
  ]);
  expect(failures.map(({ kind }) => kind)).toEqual(['silent', 'silent']);
  expect(Date.now() - startedAt).toBeLessThan(1500);
  bed.lab.thaw(0);
  expect(await ask('select 1 as one')).toEqual([{ one: 1 }]);
  await cold.close();
});

it('finds a connection lost that a dying server resets: no answer, and no rejection', async () => {
  await bed.lab.freeze(0);
  const asking = failureOf(ask('select 1'));
  // Once a later connection waits for the frozen server, ours does, too.
  const { host, port } = bed.node(0);
  const later = connect({ host, port });
  await new Promise((resolve) => later.once('connect', resolve));
  later.on('error', () => undefined);
  await bed.lab.killHost(0);
  expect(await asking).toMatchObject({ kind: 'lost', sqlState: null });
  later.destroy();
  await bed.mend();
});

it('closes in time although the server is frozen', async () => {
  await ask('select 1');
  await bed.lab.freeze(0);
  const startedAt = Date.now();
  await sql.close();
  expect(Date.now() - startedAt).toBeLessThan(2000);
  bed.lab.thaw(0);
});

it('refuses to ask after close()', async () => {
  await sql.close();
  expect((await failureOf(ask('select 1'))).message).toMatch(/shutting down/);
});

it('is rejected for want of connections, and says so', async () => {
  // Three are kept for superusers, which we are.
  await bed.ask(0, 'alter system set max_connections = 5');
  await bed.stop(0);
  await bed.lab.start(0);
  const held: Client[] = [];
  // The one that has seen the start may still be there.
  const isFull = async (): Promise<boolean> => held.push(await bed.connect(0)) === 5;
  await waitFor(isFull, { what: 'every connection', timeoutMs: 10_000 });
  expect(await failureOf(ask('select 1'))).toMatchObject({ kind: 'rejected', sqlState: '53300' });
  await Promise.all(held.map((client) => client.end()));
  await waitFor(() => ask('select 1').then(() => true), { what: 'a free connection', timeoutMs: 5000 });
});

it('tells a server in recovery by its SQLSTATE', async () => {
  await bed.stop(0);
  const goOn = await bed.startInRecovery(0);
  expect(await failureOf(ask('select 1'))).toMatchObject({ kind: 'recovering', sqlState: '57P03' });
  await goOn();
  expect(await ask('select pg_is_in_recovery() as readonly')).toEqual([{ readonly: true }]);
});

describe('the password file', () => {
  it('is read by libpq’s rules: comments, wildcards, the first line that fits, escaped colons', async () => {
    const password = readPassword();
    const file = writePassFile(
      'wildcards',
      `# us\nother:*:*:*:wrong\n*:*:postgres:nobody:wrong\n*:*:*:postgres:${password}\n`,
    );
    expect(await ask('select 1 as one', 5000, { passFile: file })).toEqual([{ one: 1 }]);
  });

  it('is not used while others can read it', async () => {
    const file = writePassFile('open', `*:*:*:*:${readPassword()}\n`, 0o644);
    const failure = await failureOf(ask('select 1', 5000, { passFile: file }));
    expect(failure.kind).toBe('rejected');
    expect(failure.message).toContain(`${file} is readable by others and therefore not used: chmod 600 it`);
    expect(failure.message).not.toContain(readPassword());
  });

  it('that lacks a line, or is missing, is named', async () => {
    const empty = writePassFile('empty', 'elsewhere:*:*:*:x\n');
    expect((await failureOf(ask('select 1', 5000, { passFile: empty }))).message).toMatch(
      /empty has no line for 127\..*:postgres:postgres$/,
    );
    expect((await failureOf(ask('select 1', 5000, { passFile: '/nowhere/pass' }))).message).toMatch(
      /ENOENT.*\/nowhere\/pass/,
    );
  });

  it('with a wrong password is rejected by the server, and the password is not in the message', async () => {
    const file = writePassFile('wrong', '*:*:*:*:tr0ub4dor\n');
    const failure = await failureOf(ask('select 1', 5000, { passFile: file }));
    expect(failure).toMatchObject({ kind: 'rejected', sqlState: '28P01' });
    expect(JSON.stringify([failure.message, failure.stack])).not.toContain('tr0ub4dor');
  });
});
