// The ways to the nodes: a change is told once, silence is tried again at once, a refusal ever more rarely.

import { PcpFailure } from '../../activities/io/pcp/pcp';
import { SqlFailure } from '../../activities/io/sql/postgres';
import { SshFailure } from '../../activities/io/ssh/ssh';
import type { WorkerTools } from '../../activities/io/tools';
import { parseClusterFile } from '../../configuration/load';
import { keepWarm } from '../../worker/keep-warm';
import { clusterFile } from '../configuration/cluster-file';

const shop = parseClusterFile(clusterFile, 'shop.yaml');
const configuration = { ...shop, nodes: shop.nodes.slice(0, 1) };
let said: string[];
let sqlTrouble: Error | null;
let sshTrouble: Error | null;
let tries: { sql: number; ssh: number };
let stop: () => void;

beforeEach(() => {
  jest.useFakeTimers();
  said = [];
  [sqlTrouble, sshTrouble, tries] = [null, null, { sql: 0, ssh: 0 }];
  const answer = (trouble: Error | null): Promise<void> => (trouble ? Promise.reject(trouble) : Promise.resolve());
  const tools = {
    sql: { query: () => (tries.sql++, answer(sqlTrouble)) },
    ssh: { open: () => (tries.ssh++, answer(sshTrouble)) },
    pcp: { readNodeInfo: () => Promise.resolve() },
  } as unknown as WorkerTools;
  stop = keepWarm(tools, [{ path: 'shop.yaml', configuration }], (line) => said.push(line));
});
afterEach(() => {
  stop();
  jest.useRealTimers();
});
const pass = (seconds: number): Promise<void> => jest.advanceTimersByTimeAsync(seconds * 1000);

it('says nothing while all is well, and one line for each change', async () => {
  await pass(60);
  expect([said, tries]).toEqual([[], { sql: 31, ssh: 31 }]);
  sqlTrouble = new SqlFailure('silent', 'PostgreSQL at 10.0.0.10:5432: no answer in time');
  await pass(60);
  sqlTrouble = null;
  await pass(60);
  expect(said).toEqual([
    'warning: shop, node 0, SQL: PostgreSQL at 10.0.0.10:5432: no answer in time',
    'shop, node 0, SQL: works again',
  ]);
  // Silence is no reason to ask less often.
  expect(tries.sql).toBe(91);
});

it('a broken connection is only told when the next one fails, too', async () => {
  await pass(2);
  sqlTrouble = new SqlFailure('lost', 'terminated');
  await pass(2);
  sqlTrouble = null;
  await pass(2);
  expect(said).toEqual([]);
});

it.each([
  ['ssh', () => (sshTrouble = new SshFailure('authentication', 'ssh postgres@10.0.0.10:22: the key was refused'))],
  ['sql', () => (sqlTrouble = new SqlFailure('rejected', 'password authentication failed', '28P01'))],
] as const)(
  'a refusal by %s is asked for again after 30 s, then every 5 minutes, until it is mended',
  async (way, fail) => {
    await pass(2);
    fail();
    const before = tries[way];
    await pass(1800);
    expect(said).toHaveLength(1);
    // fail2ban's default is five failures in ten minutes; the first minutes have seven, then there are two in ten.
    expect(tries[way] - before).toBeLessThanOrEqual(14);
    sqlTrouble = sshTrouble = null;
    await pass(302);
    expect(said[1]).toMatch(/works again$/);
    const mended = tries[way];
    await pass(20);
    expect(tries[way] - mended).toBe(10);
  },
);

describe('ways that only a failover uses', () => {
  let probe: string;
  let pcpTrouble: Error | null;
  let asked: { psql: number; pcp: number };
  let [isPrimaryDown, keyTrouble] = [false, null as Error | null];

  function begin(): void {
    stop();
    [said, probe, pcpTrouble, asked] = [[], 'exit=0\nanswer=done\n', null, { psql: 0, pcp: 0 }];
    [isPrimaryDown, keyTrouble] = [false, null];
    const tools = {
      sql: {
        query: ({ host }: { host: string }) =>
          Promise.resolve([{ is_writable: host === shop.nodes[0]!.host && !isPrimaryDown }]),
      },
      ssh: {
        open: () => (keyTrouble ? Promise.reject(keyTrouble) : Promise.resolve()),
        run: () => (asked.psql++, Promise.resolve({ exitCode: 0, stderr: '', stdout: probe })),
      },
      pcp: {
        readNodeInfo: () => (asked.pcp++, pcpTrouble ? Promise.reject(pcpTrouble) : Promise.resolve()),
      },
    } as unknown as WorkerTools;
    const two = { ...shop, nodes: shop.nodes.slice(0, 2), pgpool: shop.pgpool.slice(0, 1) };
    stop = keepWarm(tools, [{ path: 'shop.yaml', configuration: two }], (line) => said.push(line));
  }
  beforeEach(begin);

  it('are looked at every five minutes, and a broken one is said once, with what to do', async () => {
    await pass(10);
    probe = 'exit=2\nsaid=psql: error: fe_sendauth: no password supplied\nanswer=done\n';
    pcpTrouble = new PcpFailure('authentication', 'authentication failed; compare pcp.conf there with ~/.pcppass');
    await pass(1500);
    expect(said).toEqual([
      'warning: shop, pgpool ' +
        shop.pgpool[0]!.name +
        ', PCP: authentication failed; compare pcp.conf there with ~/.pcppass',
      'warning: shop, node 1, psql from its host: to node 0, the primary: psql: error: fe_sendauth: no password supplied; check ~/.pgpass there and pg_hba.conf of node 0',
    ]);
    expect(asked).toEqual({ psql: 6, pcp: 6 });
    probe = 'exit=0\nanswer=done\n';
    await pass(302);
    expect(said.at(-1)).toBe('shop, node 1, psql from its host: works again');
  });

  it('say nothing while there is no primary to ask, and offer no key that was refused', async () => {
    await pass(10);
    isPrimaryDown = true;
    await pass(600);
    expect([said, asked.psql]).toEqual([[], 1]);
    isPrimaryDown = false;
    keyTrouble = new SshFailure('authentication', 'the key was refused');
    await pass(600);
    expect(said).toEqual([expect.stringContaining('node 0, ssh'), expect.stringContaining('node 1, ssh')]);
    expect(asked.psql).toBe(1);
  });
});
