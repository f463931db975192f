// stop on real nodes: no process of the data directory is left, whatever state it is in, and what accepts writes is never stopped.
import { execFileSync, type ExecFileSyncOptions } from 'node:child_process';
import { existsSync, readFileSync, renameSync, statSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { StopInput, StopResult } from '../../../activities/standby/stop';
import type { ClusterConfiguration } from '../../../domain/facts/cluster';
import { holdLock } from '../io/host/other-act';
import { type Bed, createTools, dieDuring, failureOf, perform, sleepAfterLook, startBed, waitFor } from '../support';

let bed: Bed;

beforeAll(async () => {
  bed = await startBed('stop', 2);
  await bed.keep();
});
afterAll(() => bed.down());
beforeEach(() => bed.reset());

const inputFor = (more: Partial<StopInput> = {}): StopInput => ({
  configuration: bed.configuration,
  node: 1,
  primary: 0,
  ...more,
});
const stop = (more: Partial<StopInput> = {}): Promise<StopResult> => perform(bed.tools, 'stop', inputFor(more));
const directory = (): string => bed.node(1).dataDirectory;
const withCommand = (command: string): ClusterConfiguration => ({
  ...bed.configuration,
  postgres: { ...bed.configuration.postgres, service: { kind: 'commands', stop: command, start: 'false' } },
});
const left = (): string => `no process of ${directory()} is left`;
const readState = (): string => {
  const options: ExecFileSyncOptions = { encoding: 'utf8', env: { LC_ALL: 'C' } };
  const output = String(
    execFileSync(path.join(bed.configuration.postgres.bin, 'pg_controldata'), [directory()], options),
  );
  return /^Database cluster state: *(.*)$/m.exec(output)![1]!;
};

it('stops a standby at once, without a checkpoint; the second time it finds nothing to stop', async () => {
  writeFileSync(path.join(directory(), 'standby.signal'), 'after-return\n');
  expect(await stop()).toEqual({ changed: true, line: `node 1: PostgreSQL was stopped (immediate); ${left()}` });
  expect(bed.processes(1)).toEqual([]);
  expect(readState()).toBe('in archive recovery');
  expect(await stop()).toEqual({ changed: false, line: `node 1: PostgreSQL was stopped already; ${left()}` });
  expect(readFileSync(path.join(directory(), 'standby.signal'), 'utf8')).toBe('after-return\n');
});

describe('what it refuses, and leaves running', () => {
  afterEach(() => {
    expect(bed.processes(1)).not.toEqual([]);
  });

  it('never stops the primary itself', async () => {
    const failure = await failureOf(stop({ node: 1, primary: 1 }));
    expect(failure).toMatchObject({ type: 'Configuration', nonRetryable: true });
    expect(failure.message).toMatch(/^node 1 is the primary/);
  });

  it('never stops a node while its primary does not accept writes', async () => {
    const failure = await failureOf(stop({ node: 0, primary: 1 }));
    expect(failure).toMatchObject({
      type: 'WorldChanged',
      nonRetryable: true,
      message: 'node 0 is not stopped, because its primary is not known to accept writes: node 1 answers, in recovery',
    });
    expect(bed.processes(0)).not.toEqual([]);
  });

  it('never stops a former primary that is up beside its successor: a fence does, and saves its WAL', async () => {
    await bed.ask(1, 'select pg_promote(true)');
    const failure = await failureOf(stop({ node: 0, primary: 1 }));
    expect(failure).toMatchObject({ type: 'WorldChanged', nonRetryable: true });
    expect(failure.message).toMatch(/^node 0 accepts writes: it is not stopped here/);
    await bed.ask(0, 'create table still_writes (id int)');
  });

  it('never stops anything by an old look', async () => {
    sleepAfterLook(bed.tools, 45_001);
    const failure = await failureOf(stop()).finally(() => jest.restoreAllMocks());
    expect(failure).toMatchObject({ type: 'Unreachable', nonRetryable: false });
    expect(failure.message).toMatch(/looked at too long ago/);
  });

  it('never stops a node while its primary is silent', async () => {
    await bed.lab.freeze(0);
    const failure = await failureOf(stop());
    expect(failure.type).toBe('WorldChanged');
    expect(failure.message).toMatch(/not known to accept writes: node 0 PostgreSQL at .*: (no answer|timeout)/);
  });

  it('does not stop a standby that was promoted while it waited for the lock', async () => {
    const lock = bed.jobs(1, '.lock');
    const release = await holdLock(lock);
    const failing = failureOf(stop());
    const isWaitedFor = (): boolean =>
      readFileSync('/proc/locks', 'utf8')
        .split('\n')
        .some((line) => line.includes('->') && line.includes(`:${statSync(lock).ino} `));
    await waitFor(isWaitedFor, { what: 'the act to wait for the lock', timeoutMs: 10_000 });
    await bed.ask(1, 'select pg_promote(true)');
    release();
    expect(await failing).toMatchObject({
      type: 'WorldChanged',
      message: `node 1 (${bed.node(1).host}): refused to stop PostgreSQL: it was promoted a moment ago`,
    });
    await bed.ask(1, 'create table still_writes (id int)');
  });
});

it('ends a frozen server by SIGKILL', async () => {
  await bed.lab.freeze(1);
  expect(await stop()).toEqual({
    changed: true,
    line: `node 1: PostgreSQL did not stop in time and was ended by SIGKILL; ${left()}`,
  });
  expect(bed.processes(1)).toEqual([]);
});

it('ends backends whose postmaster is gone', async () => {
  const client = await bed.connect(1);
  const looping = client.query('do $$ begin loop perform 1; end loop; end $$').catch(() => undefined);
  await waitFor(
    async () =>
      (
        await bed.ask(1, `select count(*)::int as n from pg_stat_activity where query like 'do %' and state = 'active'`)
      )['n'] === 1,
    { what: 'the loop', timeoutMs: 5000 },
  );
  await bed.lab.killPostgres(1);
  expect((await stop()).line).toBe(`node 1: processes without a postmaster were ended by SIGKILL; ${left()}`);
  expect(bed.processes(1)).toEqual([]);
  await looping;
});

describe('without a data directory', () => {
  const expectAbsent = async (): Promise<void> => {
    expect(await stop()).toEqual({
      changed: false,
      line: `node 1: nothing runs, because ${directory()} does not exist; ${left()}`,
    });
  };
  const aside = (): string => `${directory()}.aside`;

  it('has nothing to stop, also when a link leads nowhere', async () => {
    await bed.stop(1, 'immediate');
    renameSync(directory(), aside());
    try {
      await expectAbsent();
      symlinkSync(`${directory()}.nowhere`, directory());
      await expectAbsent();
      unlinkSync(directory());
    } finally {
      renameSync(aside(), directory());
    }
  });

  it('still ends what works in a directory that was removed', async () => {
    // Frozen, because a server that has lost its files soon ends by itself.
    await bed.lab.freeze(1);
    execFileSync('rm', ['-rf', directory()]);
    expect((await stop()).changed).toBe(true);
    expect(bed.processes(1)).toEqual([]);
    await expectAbsent();
  });
});

describe('with stop commands of the site', () => {
  const told = (): string => path.join(path.dirname(directory()), 'told');
  const count = (): number => (existsSync(told()) ? readFileSync(told(), 'utf8').length : 0);

  it('runs them first, and also when nothing runs: the service manager must know', async () => {
    const configuration = withCommand(`printf x >> "$DATA/../told"; "$BIN/pg_ctl" -D "$DATA" -m fast stop`);
    const before = count();
    expect(await stop({ configuration })).toEqual({
      changed: true,
      line: `node 1: PostgreSQL was stopped by its service; ${left()}`,
    });
    expect(readState()).toBe('shut down in recovery');
    expect((await stop({ configuration })).changed).toBe(false);
    expect(count() - before).toBe(2);
  });

  it('does not rely on them: neither on their end, nor on what they say', async () => {
    expect((await stop({ configuration: withCommand('echo stopped; exec sleep 300') })).line).toBe(
      `node 1: PostgreSQL was stopped (immediate); ${left()}`,
    );
    expect(bed.processes(1)).toEqual([]);
  });
});

it('is a failure that may be retried when the host does not answer', async () => {
  await bed.lab.killHost(1);
  const failure = await failureOf(stop());
  expect(failure).toMatchObject({ type: 'Unreachable', nonRetryable: false });
  expect(failure.message).toMatch(/^ssh .*refused/);
});

it.each([
  ['before the act', { beforeScript: 'WAS_STANDBY' } as const, true],
  ['while the node stops', { beat: true } as const, false],
  ['after the act and before its result', { afterScript: 'WAS_STANDBY' } as const, false],
])('is completed by another worker when the first is killed %s', async (_, moment, changed) => {
  const command = ': >"$DATA/../begun"; sleep 3; "$BIN/pg_ctl" -D "$DATA" -m fast stop';
  const input = inputFor('beat' in moment ? { configuration: withCommand(command) } : {});
  const once = path.join(path.dirname(directory()), 'begun');
  await dieDuring(bed.lab.clusterFile, 'stop', input, 'beat' in moment ? { ...moment, once } : moment);
  if (!('afterScript' in moment)) expect(bed.processes(1)).not.toEqual([]);
  const elsewhere = createTools(bed.lab.clusterFile);
  try {
    // The act that the dead worker began goes on, under the lock.
    expect((await perform(elsewhere, 'stop', input)).changed).toBe(changed);
    expect(bed.processes(1)).toEqual([]);
  } finally {
    await elsewhere.close();
  }
});
