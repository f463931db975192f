// The lines of `plan --if`: the runbooks' own decisions and verbs, from facts in which a node is taken to be down.
// Nothing is done.

import { tellPlan, type ToldPlan } from '../../../workflows/runbooks/telling';
import {
  at,
  type ConfigurationDifferences,
  type Differences,
  makeConfiguration,
  makeFacts,
} from '../../domain/builders';

const now = Date.parse('2026-01-01T00:00:01.000Z');

const tell = (
  down: readonly number[],
  differences: Differences = {},
  configuration: ConfigurationDifferences = {},
  count = 3,
): Promise<ToldPlan> =>
  tellPlan({ configuration: makeConfiguration(configuration, count), facts: makeFacts(differences, count) }, down, now);

const titlesOf = (plan: Pick<ToldPlan, 'verbs'>): string[] => plan.verbs.map(({ title }) => title);

test('the primary: fence, promote the one with the most WAL, the other repoints', async () => {
  const plan = await tell([0], { nodes: { 2: at('0/5000100') } });
  expect(plan).toMatchObject({ outcome: 'completed', reason: 'promoted', primary: 2 });
  expect(titlesOf(plan)).toEqual(['Observe every node', 'Fence node 0', 'Promote node 2', 'Confirm pgpool0']);
  expect(plan.follows.map(({ node, rung }) => [node, rung])).toEqual([
    [0, 'left'],
    [1, 'repoint'],
  ]);
  expect(titlesOf(plan.follows[1]!)).toEqual([
    'Observe node 1 and node 2',
    'Repoint node 1',
    'Attach node 1 to pgpool0',
    'Save the configuration, node 1',
  ]);
  expect(plan.follows[0]!.line).toBe('node 0 is down: it follows node 2 when it is back');
});

test('the primary and the next candidate: the one that is left', async () => {
  const plan = await tell([0, 2], { nodes: { 2: at('0/5000100') } });
  expect(plan).toMatchObject({ reason: 'promoted', primary: 1 });
  expect(plan.follows.map(({ rung }) => rung)).toEqual(['left', 'left']);
});

test('a standby: the primary is kept, nobody else has anything to do', async () => {
  const plan = await tell([1]);
  expect(plan).toMatchObject({ outcome: 'completed', reason: 'standby-failed', primary: 0 });
  expect(titlesOf(plan)).toEqual(['Observe every node', 'Confirm pgpool0']);
  expect(plan.follows.find(({ node }) => node === 2)).toMatchObject({ rung: 'none' });
});

test('a standby that has replayed more than the candidate would be rebuilt: the article’s steps, in order', async () => {
  const nodes = { 1: at('0/5000100'), 2: at('0/5000200') };
  const policy = { maximumLagBytes: 1_000_000 };
  const plan = await tell([0], { nodes }, { policy, nodes: { 2: { priority: 0 } } });
  expect(plan).toMatchObject({ reason: 'promoted', primary: 1 });
  const follow = plan.follows.find(({ node }) => node === 2)!;
  expect(follow).toMatchObject({ rung: 'rebuild', line: expect.stringMatching(/diverged|replayed WAL/) as string });
  const titles = titlesOf(follow);
  expect(titles.indexOf('Verify the copy, node 2')).toBeGreaterThan(titles.indexOf('Base backup, node 2'));
  expect(titles.indexOf('Stop node 2')).toBeGreaterThan(titles.indexOf('Verify the copy, node 2'));
  const first = await tell(
    [0],
    { nodes },
    { policy: { ...policy, replacedData: 'removeFirst' }, nodes: { 2: { priority: 0 } } },
  );
  const removed = titlesOf(first.follows.find(({ node }) => node === 2)!);
  expect(removed.indexOf('Base backup, node 2')).toBeGreaterThan(removed.indexOf('Remove the old data, node 2'));
});

test('everything that could be promoted: the refusal, with its reason', async () => {
  const plan = await tell([0, 1, 2]);
  expect(plan).toMatchObject({ outcome: 'refused', primary: null, follows: [] });
  const lag = await tell(
    [0],
    { nodes: { 1: at('0/4000000'), 2: at('0/5000000') } },
    { nodes: { 2: { priority: 0 } }, policy: { maximumLagBytes: 10 } },
  );
  expect(lag).toMatchObject({ outcome: 'refused', reason: 'lag-exceeded', primary: null });
  expect(titlesOf(lag)).toEqual(['Observe every node']);
});

test('the facts that were given are not changed', async () => {
  // makeFacts() freezes them: a change would throw.
  await expect(tell([0], {}, {}, 5)).resolves.toMatchObject({ follows: { length: 4 } });
});
