// Temporal away: one line when it stops answering, one when it is back.

import { watchTemporal } from '../../worker/temporal-watch';

/** The answers that the server gives, one for each ping; the watch ends with the last. */
async function watch(answers: readonly boolean[]): Promise<string[]> {
  const said: string[] = [];
  const ending = new AbortController();
  let next = 0;
  const ping = (): Promise<void> => {
    const answer = answers[next++];
    if (next >= answers.length) ending.abort();
    return answer ? Promise.resolve() : Promise.reject(new Error('14 UNAVAILABLE'));
  };
  await watchTemporal({ ping, address: 't:7233', say: (line) => said.push(line), signal: ending.signal, everyMs: 1 });
  return said;
}

it('says so once, and once when it is back', async () => {
  expect(await watch([true, false, false, false, false, true, true])).toEqual([
    expect.stringMatching(
      /^warning: Temporal at t:7233 is unreachable since [-0-9]+T[0-9:.]+Z: until it is back no failover is made/,
    ) as string,
    'Temporal at t:7233 is back after 0 s',
  ]);
});

it('does not speak of one missed answer', async () => {
  expect(await watch([true, false, true, false, true])).toEqual([]);
});
