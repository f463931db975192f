// An attempt on Temporal: what it knows of itself, its beats, and what becomes of its failure.

import { ActivityCancellationDetails } from '@temporalio/common';
import { type Attempt, throwIfCancelled } from '../../activities/io/attempt';
import { failure, withDetails } from '../../activities/io/failures';
import { runAttempt, runUnbeaten } from '../../worker/attempt';
import { createEnvironment, failureOf } from '../activities/support';

const attemptOf = async (info: Parameters<typeof createEnvironment>[0]): Promise<Attempt> => {
  const run = (): Promise<Attempt> => runAttempt((attempt) => Promise.resolve(attempt));
  return await createEnvironment(info).run<[], Attempt, typeof run>(run);
};

it('knows who acts, whether another one may have acted before, and until when somebody waits', async () => {
  const workflowExecution = { workflowId: 'pgpool-shop', runId: '0a1b2c3d-0000' };
  const before = Date.now();
  const first = await attemptOf({
    activityType: 'fence',
    workflowExecution,
    attempt: 1,
    startToCloseTimeoutMs: 25_000,
  });
  expect(first).toMatchObject({ actor: 'fence, run 0a1b2c3d of pgpool-shop', isRepeated: false });
  expect(first.deadline).toBeGreaterThanOrEqual(before + 25_000);
  expect(first.deadline).toBeLessThanOrEqual(Date.now() + 25_000);
  const second = await attemptOf({ attempt: 2, heartbeatDetails: { wasSilent: true }, startToCloseTimeoutMs: 0 });
  expect(second).toMatchObject({ isRepeated: true, earlier: { wasSilent: true }, deadline: null });
});

it('beats with what was told last, and at first with what the attempt before it told', async () => {
  const environment = createEnvironment({ heartbeatDetails: 'half of it' });
  const beats: unknown[] = [];
  const beat = (): Promise<unknown> => new Promise((resolve) => environment.once('heartbeat', resolve));
  environment.on('heartbeat', (details) => beats.push(details));
  await environment.run(() =>
    runAttempt(async (attempt) => {
      await beat();
      attempt.tell('all of it');
      await beat();
    }),
  );
  expect(beats).toEqual(['half of it', 'all of it', 'all of it']);
});

it('does not beat for one that beats by itself', async () => {
  const environment = createEnvironment({ heartbeatDetails: 'half of it' });
  const beats: unknown[] = [];
  environment.on('heartbeat', (details) => beats.push(details));
  await environment.run(() =>
    runUnbeaten(async (attempt) => {
      await attempt.sleep(700);
      attempt.tell(attempt.earlier);
    }),
  );
  expect(beats).toEqual(['half of it']);
});

it.each([
  [failure('worldChanged', 'x'), { type: 'WorldChanged', nonRetryable: true }],
  [failure('unreachable', 'x'), { type: 'Unreachable', nonRetryable: false }],
  [withDetails(failure('unproven', 'x'), { isTold: true }, true), { nonRetryable: true, details: [{ isTold: true }] }],
  [failure('unproven', 'x', new Error('socket')), { cause: expect.objectContaining({ message: 'socket' }) as Error }],
])('turns a failure into Temporal’s (%#)', async (thrown, expected) => {
  const failed = await failureOf(createEnvironment().run(() => runAttempt(() => Promise.reject(thrown))));
  expect(failed).toMatchObject({ name: 'ApplicationFailure', message: 'x', ...expected });
});

it.each([
  ['a cancellation', undefined, true],
  ['a timeout', new ActivityCancellationDetails({ timedOut: true }), false],
])('ends by %s, in a sleep and where it asks', async (_, details, isRequested) => {
  const environment = createEnvironment();
  let asked: boolean | null = null;
  const running = failureOf(
    environment.run(() =>
      runAttempt(async (attempt) => {
        await attempt.sleep(60_000).catch((error: unknown) => {
          asked = attempt.isCancelRequested();
          expect(() => {
            throwIfCancelled(attempt);
          }).toThrow('nobody waits');
          throw error;
        });
      }),
    ),
  );
  environment.cancel('CANCELLED', details);
  expect(await running).toMatchObject({ name: 'CancelledFailure' });
  expect(asked).toBe(isRequested);
});
