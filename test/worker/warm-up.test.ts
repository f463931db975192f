// A worker that cannot run a workflow is not ready, and says why.

import type { Client } from '@temporalio/client';
import { warmUp } from '../../worker/warm-up';

function tryOut(answers: readonly (Error | 'done' | 'never')[]) {
  const said: string[] = [];
  const ending = new AbortController();
  let calls = 0;
  const execute = (): Promise<unknown> => {
    const answer = answers[Math.min(calls++, answers.length - 1)];
    if (answer === 'never') return new Promise(() => undefined);
    return answer === 'done' ? Promise.resolve() : Promise.reject(answer ?? new Error());
  };
  const client = { workflow: { execute } } as unknown as Client;
  const ready = warmUp({
    client,
    address: 't:7233',
    taskQueue: 'q',
    clusters: ['shop'],
    say: (line) => said.push(line),
    signal: ending.signal,
    pauseMs: 1,
  });
  return { said, ending, ready };
}

it('is ready after it has run workflows', async () => {
  const { said, ready } = tryOut(['done']);
  expect(await ready).toBe(true);
  expect(said).toEqual([]);
});

it('says each reason once, and is ready when it works at last', async () => {
  const refused = new Error('Failed to start Workflow', { cause: new Error('14 UNAVAILABLE: no connection') });
  const { said, ready } = tryOut([refused, refused, new Error('no such namespace'), 'done']);
  expect(await ready).toBe(true);
  expect(said).toEqual([
    'warning: not ready: no workflow can be run on Temporal at t:7233: Failed to start Workflow: 14 UNAVAILABLE: no connection; it is tried again',
    'warning: not ready: no workflow can be run on Temporal at t:7233: no such namespace; it is tried again',
  ]);
});

it.each(['never', new Error('away')] as const)('is never ready when the worker ends first (%s)', async (answer) => {
  const { ending, ready } = tryOut([answer]);
  ending.abort();
  expect(await ready).toBe(false);
});
