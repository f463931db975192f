// observe against a real cluster in every state that a night brings: what is seen, what it is judged as, and how long it takes.
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Observation } from '../../../activities/look/observe';
import { judgePrimary, type PrimaryState } from '../../../domain/plans/primary-state';
import { type Facts, factsOf, type NodeFacts } from '../../../domain/facts/facts';
import { lookAtRest } from '../at-rest';
import { startPgpool, type TestPgpool } from '../io/pcp/pgpool';
import { type Bed, createTools, perform, startBed, type TestTools, waitFor } from '../support';

let bed: Bed;
let pgpool: TestPgpool;
let withPgpool: TestTools;

beforeAll(async () => {
  // One after the other: if the second does not come up, the first still goes down.
  bed = await startBed('observe');
  pgpool = await startPgpool();
  const tools = createTools(bed.lab.clusterFile);
  const pgpools = [{ ...pgpool.target, port: 9999 }];
  withPgpool = { ...tools, readConfiguration: () => ({ ...bed.configuration, pgpool: pgpools }) };
});
afterAll(async () => {
  await bed.down();
  await Promise.all([withPgpool.close(), pgpool.stop()]);
});

/** Twice a second, as promised, and some more. */
const boundMs = 2600;
const tickMs = 20;

async function observe(suspect: number | null = 0, tools = bed.tools): Promise<Facts> {
  // The bound is kept by timers of this process: what stalls it does not count.
  let ticks = 0;
  const clock = setInterval(() => (ticks += 1), tickMs);
  const input = { cluster: bed.configuration.cluster, suspect };
  const { facts }: Observation = await perform(tools, 'observe', input).finally(() => {
    clearInterval(clock);
  });
  expect(ticks * tickMs).toBeLessThan(boundMs);
  return facts;
}
/** Looks again, twice at most, while a stalled machine has left a probe from these hosts without a result: what is frozen stays so. */
async function observeFrozen(hosts: readonly number[], tools = bed.tools): Promise<Facts> {
  for (let looks = 1; ; looks++) {
    const facts = await observe(0, tools);
    const isStalled = facts.probes.some(({ from, answer }) => answer === 'unknown' && hosts.includes(from));
    if (!isStalled || looks === 3) return facts;
  }
}
const own = (facts: Facts, node = 0): NodeFacts => factsOf(facts, node)!;
/** `eventAt`: when it happened; WAL messages from before that prove nothing. */
const judge = (facts: Facts, eventAt = Date.parse(facts.takenAt)): PrimaryState =>
  judgePrimary(facts, 0, bed.node(0), Date.parse(facts.takenAt) - eventAt).state;

describe('while nothing is changed', () => {
  beforeAll(() => bed.warm(bed.tools));

  it('reads every node, and the suspected primary through its host, too', async () => {
    const { lsn, seen: facts } = await lookAtRest(bed, () => observe());
    expect(judge(facts)).toBe('working');
    expect(own(facts)).toMatchObject({
      sql: 'answered',
      isInRecovery: false,
      position: { timeline: 1, lsn },
      walReceiver: null,
      host: { ssh: 'answered', processes: 'running', hasStandbySignal: false, controlFile: null },
    });
    expect(Math.abs(own(facts).host!.clockOffsetMs!)).toBeLessThan(1000);
    const { host, port } = bed.node(0);
    for (const node of [1, 2]) {
      expect(own(facts, node)).toMatchObject({
        sql: 'answered',
        isInRecovery: true,
        position: { timeline: 1, lsn },
        replayedLsn: lsn,
        receivedLsn: lsn,
        isReplayPaused: false,
        systemIdentifier: own(facts).systemIdentifier,
        walReceiver: { isStreaming: true, host, port, timeline: 1 },
        host: null,
      });
    }
    expect(facts).toMatchObject({ probes: [], pgpools: [] });
  });

  it('is the same the second time', async () => {
    const looks = await lookAtRest(bed, async () => [await observe(null), await observe(null)] as const);
    const [first, second] = looks.seen;
    expect(second.nodes.map(({ node, sql, position }) => ({ node, sql, position }))).toEqual(
      first.nodes.map(({ node, sql, position }) => ({ node, sql, position })),
    );
  });

  it('tells a host whose key has changed from one that is silent', async () => {
    const { knownHostsFile } = bed.layout.worker;
    const known = readFileSync(knownHostsFile, 'utf8');
    const lines = known.trim().split('\n');
    const own0 = lines.find((line) => line.includes(bed.node(0).host))!;
    const other = lines.find((line) => line.includes(bed.node(1).host))!;
    writeFileSync(knownHostsFile, `${own0.split(' ')[0]!} ${other.split(' ').slice(1).join(' ')}\n`);
    const fresh = createTools(bed.lab.clusterFile);
    try {
      await bed.warm(fresh);
      const { host, sql } = own(await observe(0, fresh));
      expect(sql).toBe('answered');
      expect(host).toMatchObject({ ssh: 'rejected', processes: 'unknown' });
      expect(host!.seen).toMatch(/holds another key/);
    } finally {
      writeFileSync(knownHostsFile, known);
      await fresh.close();
    }
  });
});

describe('when the primary is in trouble', () => {
  beforeEach(async () => {
    await bed.mend();
    // As the worker keeps them.
    await Promise.all([bed.warm(bed.tools), bed.warm(withPgpool)]);
  });

  it('sees a stopped primary as dead, with the control file that it left', async () => {
    await bed.lab.stopImmediate(0);
    const facts = await observe();
    expect(judge(facts)).toBe('dead');
    expect(own(facts)).toMatchObject({
      sql: 'refused',
      host: { processes: 'none', controlFile: { state: 'in production', checkpoint: { timeline: 1 } } },
    });
    // Settled on the host itself: nobody else is asked.
    expect(facts).toMatchObject({ probes: [], pgpools: [] });
  });

  it('finds the dead primary without being told whom to suspect', async () => {
    await bed.lab.stopImmediate(0);
    expect(judge(await observe(null))).toBe('dead');
  });

  it('sees backends that outlive their postmaster', async () => {
    const client = await bed.connect(0);
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    const looping = client.query('do $$ begin loop end loop; end $$').catch(() => undefined);
    const isBusy = `select state from pg_stat_activity where query like 'do %' and pid = ${rows[0]!.pid}`;
    await waitFor(async () => (await bed.ask(0, isBusy))['state'] === 'active', { what: 'the loop', timeoutMs: 5000 });
    await bed.lab.killPostgres(0);
    await waitFor(() => bed.processes(0).length === 1, { what: 'the other processes to end', timeoutMs: 10_000 });
    expect(bed.processes(0)[0]!.pid).toBe(rows[0]!.pid);
    const facts = await observe();
    expect(own(facts)).toMatchObject({ sql: 'refused', host: { processes: 'orphans', controlFile: null } });
    expect(judge(facts)).toBe('dead');
    process.kill(rows[0]!.pid, 'SIGKILL');
    await looping;
  });

  it('sees a frozen primary as hung, and asks the other hosts and pgpool about it', async () => {
    await bed.lab.freeze(0);
    const facts = await observeFrozen([1, 2], withPgpool);
    expect(own(facts)).toMatchObject({ sql: 'silent', host: { ssh: 'answered', processes: 'running' } });
    expect(facts.probes.map(({ from, about, answer }) => [from, about, answer])).toEqual([
      [1, 0, 'silent'],
      [2, 0, 'silent'],
    ]);
    expect(facts.pgpools[0]!.nodes.map(({ node, status }) => [node, status])).toEqual([
      [0, 'waiting'],
      [1, 'waiting'],
    ]);
    // That pgpool has two nodes only: the third is a sentence, not a failure.
    expect(facts.pgpools[0]!.seen).toMatch(/node info of node 2 at pgpool test/);
    expect(judge({ ...facts, pgpools: [] })).toBe('hung');
  });

  it('takes no answer for life that is older than the death it has seen itself', async () => {
    const { host, port } = bed.node(0);
    const query = bed.tools.sql.query.bind(bed.tools.sql);
    // The other hosts are asked while the worker's own question hangs, and the server dies before that is answered.
    const slow = jest.spyOn(bed.tools.sql, 'query').mockImplementation(async (target, text, options) => {
      if (target.host === host && target.port === port) {
        await delay(500);
        await bed.lab.killPostgres(0);
      }
      return await query(target, text, options);
    });
    const facts = await observe();
    slow.mockRestore();
    expect(own(facts)).toMatchObject({ sql: 'refused', host: { processes: 'running' } });
    expect(facts.probes.map(({ answer }) => answer)).toEqual(['refused', 'refused']);
    expect(judge(facts)).toBe('hung');
  });

  it('sees a frozen host as unreachable from everywhere', async () => {
    await bed.lab.freeze(0, { withSsh: true });
    const facts = await observeFrozen([1, 2]);
    expect(own(facts)).toMatchObject({ sql: 'silent', host: { ssh: 'silent', processes: 'unknown' } });
    expect(judge(facts)).toBe('unreachable');
  });

  it('stays within its bound when a standby’s host is silent, too, and nobody suspected it', async () => {
    await Promise.all([0, 2].map((node) => bed.lab.freeze(node, { withSsh: true })));
    const facts = await observeFrozen([1]);
    expect([own(facts).sql, own(facts, 2).sql, own(facts, 1).sql]).toEqual(['silent', 'silent', 'answered']);
    expect(judge(facts)).toBe('unreachable');
  });

  it('sees a host where nothing listens as closed, because ssh cannot tell whether anything runs there', async () => {
    await bed.lab.killHost(0);
    const facts = await observe();
    expect(own(facts)).toMatchObject({ sql: 'refused', host: { ssh: 'refused', processes: 'unknown' } });
    expect(facts.probes.map(({ answer }) => answer)).toEqual(['refused', 'refused']);
    expect(judge(facts)).toBe('closed');
    // The lab's pgpool was never started: a fact in words.
    expect(facts.pgpools).toEqual([
      { pgpool: 'pgpool0', nodes: [], isReached: true, seen: expect.stringMatching(/connection refused/) as string },
    ]);
  });

  it('sees a primary in recovery as recovering, and does not ask others about it', async () => {
    await bed.lab.stopImmediate(0);
    const goOn = await bed.startInRecovery(0);
    const facts = await observe();
    expect(own(facts)).toMatchObject({ sql: 'recovering', host: { processes: 'running', hasStandbySignal: true } });
    expect(facts.probes).toEqual([]);
    expect(judge(facts)).toBe('recovering');
    await goOn();
  });
});

// Last, because node 1 stays what it becomes.
it('asks pgpool who is served where a stopped node’s files tell of a newer timeline than the primary’s', async () => {
  await bed.mend();
  await bed.ask(1, 'select pg_promote()');
  await waitFor(async () => (await bed.ask(1, 'select pg_is_in_recovery() as r'))['r'] === false, {
    what: 'the promotion',
    timeoutMs: 10_000,
  });
  await bed.lab.stopImmediate(1);
  const facts = await observe(null);
  expect(own(facts)).toMatchObject({ isInRecovery: false, position: { timeline: 1 } });
  expect(own(facts, 1).host).toMatchObject({ processes: 'none', walTimeline: 2 });
  expect(facts.pgpools).toHaveLength(1);
});
