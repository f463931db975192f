// hook.sh when Temporal cannot be told at once: no event is lost, pgpool is not kept waiting, and one deliver sends what is left.
import { type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { type Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Answer,
  Bench,
  type FakeTemporal,
  closedPort,
  closeEvent,
  finish,
  notFound,
  settled,
  shells,
  started,
  startTemporal,
  unsettled,
  until,
} from './hook-support';

jest.setTimeout(90_000);

const failover = ['failover', '0', '1', '0'];
const follow = ['follow', '2', '1', '0'];
const nobody = 65534;

describe.each(shells)('hook.sh under %s', (shell) => {
  let temporal: FakeTemporal;
  let bench: Bench;
  beforeEach(async () => {
    temporal = await startTemporal();
    temporal.answers.update = [settled('completed', 'node 1 is the primary')];
    bench = new Bench(shell);
    bench.configure(temporal.port);
  });
  afterEach(async () => {
    await temporal.close();
    await bench.remove();
  });

  /** The event that the spool holds reaches Temporal, and deliver ends by itself. */
  async function expectDelivery(...events: string[]): Promise<void> {
    await until(() => bench.spooled().length === 0 && bench.processes().length === 0, 'deliver has ended');
    const received = temporal.events().map((event) => (event as { eventId: string }).eventId);
    expect(new Set(received)).toEqual(new Set(events));
  }

  it.each<[string, Answer, string]>([
    ['404', { status: 404, body: { code: 5 } }, 'Temporal answered HTTP 404'],
    ['400', { status: 400, body: { code: 3 } }, 'Temporal answered HTTP 400'],
    ['409', { status: 409, body: { code: 6 } }, 'Temporal answered HTTP 409'],
    ['500', { status: 500, body: 'a proxy, "not" JSON 200' }, 'Temporal answered HTTP 500'],
    ['a cut connection', 'reset', 'curl exit code 52'],
    ['a hanging server', 'hang', 'no answer in time'],
  ])('spools the event on %s and delivers it later', async (_story, answer, seen) => {
    temporal.answers.signal = [answer];
    const { code, stdout, stderr, durationMs } = await bench.run(failover);
    const where = `http://127.0.0.1:${temporal.port}; kept in ${bench.spool}, and tried again until delivered`;
    expect({ code, stdout, stderr }).toEqual({
      code: 3,
      stdout: `pgpool-runbook: failover, node 0: ${seen} at ${where}\n`,
      stderr: '',
    });
    expect(durationMs).toBeLessThan(8000);
    const spooled = bench.spooled();
    expect(spooled).toHaveLength(1);
    temporal.answers.signal = [started];
    await expectDelivery(...spooled);
    expect(new Set(temporal.events().map((event) => JSON.stringify(event))).size).toBe(1);
  });

  it.each<[string, Answer]>([
    ['says 503', { status: 503, body: {} }],
    ['says 409', { status: 409, body: {} }],
    ['cuts the connection', 'reset'],
  ])('tells a server that %s once', async (_story, answer) => {
    temporal.answers.signal = [answer, started];
    expect(await bench.run(failover)).toMatchObject({ code: 0 });
    expect(bench.spooled()).toEqual([]);
  });

  it('delivers two events that nobody listened to', async () => {
    const { port } = temporal;
    await temporal.close();
    const runs = await Promise.all([bench.run(failover), bench.run(follow)]);
    for (const run of runs) {
      expect(run).toMatchObject({ code: 3, stdout: expect.stringContaining('connection refused') as string });
    }
    const spooled = bench.spooled();
    expect(spooled).toHaveLength(2);
    temporal = await startTemporal(port);
    temporal.answers.update = [settled('completed', 'node 1 is the primary')];
    await expectDelivery(...spooled);
  });

  it('delivers what an earlier deliver left behind', async () => {
    fs.mkdirSync(bench.spool);
    fs.writeFileSync(path.join(bench.spool, 'follow-1-x'), '{"signalInput":[{"eventId":"follow-1-x"}]}\n');
    expect(await bench.run(follow)).toMatchObject({ code: 0 });
    await until(() => bench.processes().length === 0, 'deliver has ended');
    expect(bench.spooled()).toEqual([]);
    expect(temporal.events()).toContainEqual({ eventId: 'follow-1-x' });
  });

  it('does not let one event that Temporal rejects hold up the others', async () => {
    fs.mkdirSync(bench.spool);
    for (const eventId of ['a', 'b']) {
      fs.writeFileSync(path.join(bench.spool, eventId), `{"signalInput":[{"eventId":"${eventId}"}]}\n`);
    }
    temporal.answers.signal = [{ status: 400, body: {} }, started];
    expect(await bench.run(['deliver'])).toMatchObject({
      code: 0,
      stdout: `pgpool-runbook: ${bench.spool} is empty: every event is delivered\n`,
      stderr: expect.stringMatching(/^pgpool-runbook: Temporal answered HTTP 400 at .*; next try in 1 s\n$/) as string,
    });
    expect(temporal.events()).toEqual([{ eventId: 'a' }, { eventId: 'b' }, { eventId: 'a' }]);
  });

  /** An event of the primary's failover, as the hook writes it. */
  function spoolFailover(name: string, ageS = 0): string {
    const eventId = name.replace(/\.(sent|open)$/, '');
    const event = { eventId, kind: 'failover', node: 0, mainNode: 1, oldPrimary: 0, at: '2026-01-01T00:00:00Z' };
    fs.mkdirSync(bench.spool, { recursive: true });
    fs.writeFileSync(path.join(bench.spool, name), `${JSON.stringify({ signalInput: [event] })}\n`);
    const at = Date.now() / 1000 - ageS;
    fs.utimesSync(path.join(bench.spool, name), at, at);
    return eventId;
  }

  it('tries at least every 2 s while a failover waits, also one that comes meanwhile', async () => {
    temporal.answers.signal = [{ status: 503, body: {} }];
    fs.mkdirSync(bench.spool);
    fs.writeFileSync(path.join(bench.spool, 'follow-2-x'), '{"signalInput":[{"eventId":"follow-2-x"}]}\n');
    const deliver = bench.start(['deliver']);
    let said = '';
    deliver.stderr?.on('data', (text: Buffer) => (said += text.toString()));
    await until(() => said.includes('next try in 4 s'), 'the pause grows');
    const [eventId, at] = [spoolFailover('failover-0-x'), Date.now()];
    await until(() => temporal.events().some((event) => (event as { eventId: string }).eventId === eventId), 'sent');
    expect(Date.now() - at).toBeLessThan(3500);
    await until(
      () => said.includes('next try in 2 s\n') && said.split('next try in 2 s\n').length > 2,
      'the pause is 2 s',
    );
    expect(said).not.toContain('next try in 8 s');
    temporal.answers.signal = [started];
    expect(await finish(deliver)).toMatchObject({ code: 0 });
  });

  it('keeps a failover that Temporal has until it is answered', async () => {
    const eventId = spoolFailover('failover-0-x');
    temporal.answers.update = [unsettled];
    const deliver = finish(bench.start(['deliver']));
    await until(() => bench.spooled().includes(`${eventId}.open`), 'Temporal has it');
    temporal.answers.update = [settled('refused', 'nobody can be promoted')];
    expect(await deliver).toMatchObject({ code: 0 });
    expect(temporal.events()).toHaveLength(1);
    expect(bench.spooled()).toEqual([]);
  });

  const rejected = { status: 200, body: { outcome: { failure: { message: 'no event failover-0-x in this run' } } } };
  it.each<[string, Answer, Answer]>([
    ['ended without an answer', notFound, closeEvent('FAILED')],
    ['was deleted long ago', notFound, notFound],
    ['was another one', rejected, notFound],
  ])('sends a failover again whose hook has gone, when the run %s', async (_story, update, history) => {
    spoolFailover('failover-0-x.open');
    temporal.answers.update = [update, settled('completed', 'node 1 is the primary')];
    temporal.answers.history = [history];
    expect(await bench.run(['deliver'])).toMatchObject({ code: 0 });
    expect(temporal.events()).toEqual([expect.objectContaining({ eventId: 'failover-0-x' })]);
    expect(bench.spooled()).toEqual([]);
  });

  it('does not send a failover again that a closed run has answered', async () => {
    const eventId = spoolFailover('failover-0-x.sent', 60);
    temporal.answers.update = [notFound];
    temporal.answers.history = [
      closeEvent('COMPLETED', { events: [{ eventId, line: 'node 1', outcome: 'completed' }] }),
    ];
    expect(await bench.run(['deliver'])).toMatchObject({ code: 0 });
    expect(temporal.events()).toEqual([]);
    expect(bench.spooled()).toEqual([]);
  });

  it('asks for the answer of a failover itself only when its hook must be dead', async () => {
    temporal.answers.update = ['hang'];
    const hook = bench.start(failover);
    await until(() => temporal.received.length === 2, 'the hook waits');
    hook.kill('SIGKILL');
    await once(hook, 'exit');
    const [name = ''] = bench.spooled();
    expect(name).toMatch(/^failover-0-.*\.sent$/);
    const deliver = finish(bench.start(['deliver']));
    await sleep(1500);
    expect(temporal.received).toHaveLength(2);
    temporal.answers.update = [settled('completed', 'node 1 is the primary')];
    spoolFailover(name, 60);
    expect(await deliver).toMatchObject({ code: 0 });
    expect(bench.spooled()).toEqual([]);
  });

  it('delivers under one lock only', async () => {
    temporal.answers.signal = ['hang'];
    fs.mkdirSync(bench.spool);
    fs.writeFileSync(path.join(bench.spool, 'a'), '{"signalInput":[{"eventId":"a"}]}\n');
    const first = finish(bench.start(['deliver']));
    await until(() => temporal.received.length === 1, 'the first deliver holds the lock');
    const line = `pgpool-runbook: another deliver is at work on ${bench.spool}\n`;
    expect(await bench.run(['deliver'])).toMatchObject({ code: 0, stdout: line });
    expect(temporal.received).toHaveLength(1);
    temporal.answers.signal = [started];
    expect(await first).toMatchObject({ code: 0 });
  });

  it('has nothing to deliver before the first event', async () => {
    expect(await bench.run(['deliver'])).toMatchObject({ code: 0 });
    expect(temporal.received).toEqual([]);
  });

  it('spools the event without curl, and delivers it when curl is there', async () => {
    fs.unlinkSync(path.join(bench.bin, 'curl'));
    expect(await bench.run(failover)).toMatchObject({
      code: 3,
      stdout: expect.stringContaining('curl is not on PATH') as string,
      stderr: '',
    });
    const spooled = bench.spooled();
    bench.link('curl');
    await expectDelivery(...spooled);
  });

  it('spools the event when the curl options cannot be read', async () => {
    bench.configure(temporal.port, { CURL_OPTIONS_FILE: '/nowhere/curl.conf' });
    expect(await bench.run(failover)).toMatchObject({
      code: 3,
      stdout: expect.stringContaining('/nowhere/curl.conf cannot be read') as string,
    });
    expect(bench.spooled()).toHaveLength(1);
  });

  it('keeps the spool to its owner', async () => {
    temporal.answers.signal = [{ status: 404, body: {} }];
    await bench.run(follow);
    const [file = ''] = bench.spooled();
    expect(fs.statSync(bench.spool).mode & 0o777).toBe(0o700);
    expect(fs.statSync(path.join(bench.spool, file)).mode & 0o777).toBe(0o600);
  });

  const unwritable: [string, () => Parameters<Bench['run']>[1]][] = [
    [
      'cannot be made',
      () => {
        bench.configure(temporal.port, { SPOOL: '/dev/null/spool' });
        return {};
      },
    ],
    [
      'cannot be read or written',
      () => {
        fs.mkdirSync(bench.spool, { mode: 0 });
        if (process.getuid?.() !== 0) return {};
        fs.chownSync(bench.spool, nobody, nobody);
        return { user: nobody };
      },
    ],
    ['is full', () => ({ before: ['sh', '-c', 'ulimit -f 0; exec "$@"', 'sh'] })],
  ];
  it.each(unwritable)('tells Temporal although the spool %s, and says so', async (_story, prepare) => {
    const warning = /cannot be written, look at its owner and free space\n$/;
    expect(await bench.run(failover, prepare())).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(warning) as string,
      stderr: '',
    });
    expect(temporal.events()).toHaveLength(1);
  });

  it.each(unwritable)('says that the event is lost when the spool %s and Temporal is away', async (_story, prepare) => {
    temporal.answers.signal = [{ status: 500, body: {} }];
    const { code, stdout, stderr } = await bench.run(failover, prepare());
    expect({ code, stderr }).toEqual({ code: 3, stderr: '' });
    expect(stdout).toMatch(/^pgpool-runbook: EVENT LOST \(failover, node 0\): Temporal answered HTTP 500 at .*\n$/);
    expect(bench.processes()).toEqual([]);
    if (fs.existsSync(bench.spool)) fs.chmodSync(bench.spool, 0o700);
    expect(bench.spooled()).toEqual([]);
  });

  it('is not stopped by a spooled file that it cannot read, and does not try it hotly', async () => {
    fs.mkdirSync(bench.spool);
    const unreadable = path.join(bench.spool, 'a');
    fs.writeFileSync(unreadable, ''); // Cut short by a full disk: root, too, reads no event from it.
    fs.writeFileSync(path.join(bench.spool, 'b'), '{"signalInput":[{"eventId":"b"}]}\n');
    const deliver = bench.start(['deliver']);
    const [seen] = (await once(deliver.stderr as Readable, 'data')) as [Buffer];
    expect(seen.toString()).toBe(`pgpool-runbook: ${unreadable} cannot be read; next try in 1 s\n`);
    expect(bench.spooled()).toEqual(['a']);
    fs.unlinkSync(unreadable);
    expect(await finish(deliver)).toMatchObject({ code: 0 });
    expect(temporal.events()).toEqual([{ eventId: 'b' }]);
  });

  it('says that deliver cannot use the spool', async () => {
    const options = unwritable[1]?.[1]();
    expect(await bench.run(['deliver'], options)).toMatchObject({
      code: 3,
      stdout: expect.stringMatching(/cannot read and write/) as string,
    });
  });

  /** Starts the hook with a descriptor that it should not keep; `end` comes once no process holds the other side. */
  function startLeaky(descriptor: number): { child: ChildProcess; end: Promise<unknown>; exit: Promise<unknown[]> } {
    const piped = [1, 2, descriptor];
    const stdio = Array.from({ length: descriptor + 1 }, (_, index) => (piped.includes(index) ? 'pipe' : 'ignore'));
    const child = bench.start(failover, { stdio });
    return { child, end: once((child.stdio[descriptor] as Readable).resume(), 'end'), exit: once(child, 'exit') };
  }

  // Not 9: deliver's own lock takes that number.
  it.each([3, 12])('closes descriptor %i, which pgpool leaked, before it waits', async (descriptor) => {
    temporal.answers.update = ['hang'];
    bench.configure(temporal.port, { WAIT_SECONDS: '20' });
    const { child, end, exit } = startLeaky(descriptor);
    await Promise.all([end, until(() => temporal.received.length === 2, 'the hook waits')]);
    child.kill('SIGKILL');
    expect(await exit).toEqual([null, 'SIGKILL']);
  });

  it.each([3, 12])('does not leave descriptor %i, which pgpool leaked, to deliver', async (descriptor) => {
    bench.configure(closedPort);
    const { end, exit } = startLeaky(descriptor);
    await Promise.all([end, exit]);
    // During an exec a process has no command line to be found by.
    await until(() => bench.processes().length > 0, 'deliver is at work');
  });

  it('is not held up by a curl that never ends, with the signals blocked that pgpool blocks', async () => {
    fs.unlinkSync(path.join(bench.bin, 'curl'));
    const script = `#!/bin/sh\nexec ${path.join(bench.bin, 'sleep')} 60\n`;
    fs.writeFileSync(path.join(bench.bin, 'curl'), script, { mode: 0o755 });
    const before = ['env', '--block-signal=TERM,INT,ALRM,CHLD', '--ignore-signal=PIPE'];
    const { code, stdout, durationMs } = await bench.run(failover, { before });
    expect(code).toBe(3);
    expect(stdout).toContain('no answer in time');
    expect(durationMs).toBeLessThan(15_000);
    // The stuck curl of this deliver would be waited for otherwise.
    fs.unlinkSync(path.join(bench.bin, 'curl'));
    bench.link('curl');
    await expectDelivery(...bench.spooled());
  });
});
