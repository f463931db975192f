// The ways to the nodes: a change is told once, silence is tried again at once, a refusal ever more rarely.

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
