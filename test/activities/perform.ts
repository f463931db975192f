// One attempt of an activity, run in a context of its own as the worker would, and how it must fail.
import type { Info } from '@temporalio/activity';
import type { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { type Activities, createActivities } from '../../activities/index';
import type { Tools, WorkerTools } from '../../activities/io/tools';
import { runAttempt } from '../../worker/attempt';

export type Verb = keyof Activities;
export type Input<Name extends Verb> = Parameters<Activities[Name]>[0];
type Result<Name extends Verb> = Awaited<ReturnType<Activities[Name]>>;

/** Without the log line for every failure that a test provokes. */
export function createEnvironment(info: Partial<Info> = {}): MockActivityEnvironment {
  return new MockActivityEnvironment({ startToCloseTimeoutMs: 0, ...info }, { logger: new DefaultLogger('ERROR') });
}

/** Runs one activity in a context of its own, as the worker would. */
export async function perform<Name extends Verb>(
  tools: WorkerTools,
  name: Name,
  input: Input<Name>,
  environment = createEnvironment(),
): Promise<Result<Name>> {
  const activity = createActivities(tools, runAttempt)[name] as unknown as (
    input: Input<Name>,
  ) => Promise<Result<Name>>;
  return await environment.run<[Input<Name>], Result<Name>, typeof activity>(activity, input);
}

/** Runs what a verb does, in an attempt of its own. */
export async function inAttempt<T>(
  tools: WorkerTools,
  body: (tools: Tools) => Promise<T>,
  environment = createEnvironment(),
): Promise<T> {
  const run = (): Promise<T> => runAttempt((attempt) => body({ ...tools, attempt }));
  return await environment.run<[], T, typeof run>(run);
}

/** The failure that an activity must end with; an activity that succeeds fails the test. */
export async function failureOf(running: Promise<unknown>): Promise<ApplicationFailure> {
  const result = await running.then(
    (value) => ({ value }),
    (error: unknown) => ({ error: error as ApplicationFailure }),
  );
  if ('value' in result) throw new Error(`expected a failure, got ${JSON.stringify(result.value)}`);
  return result.error;
}
