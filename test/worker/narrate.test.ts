// The worker's log has one line for each change of a cluster, and none for looks.

import type { ActivityExecuteInput } from '@temporalio/worker';
import type { Context } from '@temporalio/activity';
import { narrate } from '../../worker/narrate';

async function run(activityType: string, result: unknown): Promise<string[]> {
  const said: string[] = [];
  const interceptor = narrate((line) => said.push(line))({ info: { activityType } } as unknown as Context);
  const input = {
    args: [{ configuration: { cluster: 'shop' }, node: 0 }],
    headers: {},
  } as unknown as ActivityExecuteInput;
  expect(await interceptor.inbound!.execute!(input, () => Promise.resolve(result))).toBe(result);
  return said;
}

it('tells of a promotion, a fence and replaced data', async () => {
  expect(await run('promote', { line: 'node 1 accepts writes on timeline 2' })).toEqual([
    'shop: promote: node 1 accepts writes on timeline 2',
  ]);
  expect(await run('fence', { outcome: 'confirmed', seen: 'no process left' })).toEqual([
    'shop: fence: node 0 confirmed: no process left',
  ]);
  expect(await run('placeData', { changed: true, line: 'in place' })).toEqual(['shop: placeData: in place']);
});

it('is silent about what changed nothing, and about looks', async () => {
  expect(await run('placeData', { changed: false, line: 'in place' })).toEqual([]);
  expect(await run('observe', { facts: {} })).toEqual([]);
});
