// Temporal as a runbook's ground: each verb is an activity with its row in the table of steps, each question a parked step.

import {
  type ActivityInterfaceFor,
  CancellationScope,
  isCancellation,
  proxyActivities,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import { ActivityFailure, ApplicationFailure, TimeoutFailure } from '@temporalio/common';
import { watchTaskQueue } from '../domain/facts/names';
import type { Activities } from '../activities/index';
import type { Parking } from './parking';
import { patience } from './patience';
import { type Acts, type Ground, type InputOf, type ResultOf, StepFailed, type VerbName } from './runbooks/ground';
import { seenOf, summaryOf, verbs } from './runbooks/verbs';
import { messageOf, type Steps } from './step';

type Proxies = { readonly [Kind in keyof typeof patience]: ActivityInterfaceFor<Activities> };

const proxies = Object.fromEntries(
  Object.entries(patience).map(([kind, options]) => [kind, proxyActivities<Activities>(options)]),
) as Proxies;

/** Schedules the activity at once. @throws StepFailed; a cancellation passes through */
export async function perform<Name extends VerbName>(
  name: Name,
  input: InputOf<Name>,
  why?: string,
): Promise<ResultOf<Name>> {
  const { patience: kind, within } = verbs[name];
  const activity = proxies[kind][name] as {
    executeWithOptions(options: object, args: [InputOf<Name>]): Promise<ResultOf<Name>>;
  };
  const options = {
    summary: summaryOf(name, input, why),
    ...(within && { startToCloseTimeout: within(input) }),
    ...(kind === 'watching' && { taskQueue: watchTaskQueue(workflowInfo().taskQueue) }),
  };
  try {
    return await activity.executeWithOptions(options, [input]);
  } catch (error) {
    throw isCancellation(error) ? error : toStepFailed(name, error);
  }
}

function toStepFailed(verb: VerbName, error: unknown): StepFailed {
  const cause = error instanceof ActivityFailure ? error.cause : undefined;
  const failure = cause instanceof ApplicationFailure ? cause : null;
  const details: unknown = failure?.details?.[0] ?? null;
  return new StepFailed(verb, failure?.type ?? null, messageOf(error), details, cause instanceof TimeoutFailure);
}

export function openGround(steps: Steps, parking: Parking): Ground {
  const act = Object.fromEntries(
    (Object.keys(verbs) as VerbName[]).map((name) => [
      name,
      (input: InputOf<VerbName>, why?: string) =>
        steps.run(
          verbs[name].title(input as never),
          () => perform(name, input, why),
          (result) => seenOf(name, result),
        ),
    ]),
  ) as unknown as Acts;
  return {
    act,
    note: (title, seen) => {
      steps.note(title, seen);
    },
    ask: (question, againMs = null) => parking.park(question, againMs),
    now: () => Date.now(),
    sleep: (ms, why) => sleep(ms, { summary: why.slice(0, 200) }),
    shielded: (body) => CancellationScope.nonCancellable(body),
  };
}
