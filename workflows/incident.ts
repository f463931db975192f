// The coordinator of one cluster: one run at a time, from the first event until drained. The loop takes one message at
// a time, changes one value by the page (domain/plans/incident.ts) and performs the page's moves without awaiting them:
// their ends are messages. The loop is the lock.

import {
  allHandlersFinished,
  ApplicationFailure,
  condition,
  continueAsNew,
  isCancellation,
  log,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { parseEvent } from '../domain/facts/event';
import { alarmAt, close, isAtRest, isOver, judge, next, reportsOf } from '../domain/plans/incident';
import { type IncidentState, type Message, opening, resumed, type Told } from '../domain/plans/incident-state';
import { openGround } from './ground';
import {
  defaultTiming,
  eventSignal,
  followedSignal,
  type IncidentReport,
  type IncidentTiming,
  settledUpdate,
  stateQuery,
  streamsSignal,
} from './messages';
import { Mover } from './mover';
import { type ChildStep, Parking } from './parking';
import { searchAttributes } from './search-attributes';
import { Steps } from './step';

type Said = Message extends infer One ? (One extends Message ? Omit<One, 'now'> : never) : never;

/** @param carried what the run before this one has left; `parked`: the steps of its children that wait for a person */
export async function incident(
  cluster: string,
  timing: IncidentTiming = defaultTiming,
  carried: IncidentState | null = null,
  parked: readonly ChildStep[] = [],
): Promise<IncidentReport> {
  let state = carried ? resumed(carried) : opening(cluster, timing);
  const queue: Message[] = [];
  const tell = (said: Said): void => {
    queue.push({ ...said, now: Date.now() });
  };
  const read = (): IncidentState => state;
  const steps = new Steps(`Incident of cluster ${cluster}`);
  const parking = new Parking(steps, parked);
  const mover = new Mover({ cluster, ground: openGround(steps, parking), parking, tell, read });
  listen(tell, read, queue, mover);
  parking.listen();
  upsertSearchAttributes(searchAttributes({ cluster, operation: 'incident' }));
  if (carried) mover.adopt(carried);
  // A run that was opened by an invalid signal has nothing to do.
  if (queue.length === 0) tell({ on: 'alarm' });
  try {
    while (!isOver(state, Date.now()) || queue.length > 0) {
      if (queue.length === 0 && mayContinue(state))
        await continueAsNew<typeof incident>(cluster, timing, state, parking.childSteps);
      const message = await nextMessage(queue, state);
      const before = state;
      const step = next(state, message, timing);
      state = step.state;
      show(steps, parking, before, step);
      for (const move of step.moves) mover.perform(move);
    }
  } catch (error) {
    // An operator has cancelled the incident: its follows end with it.
    if (isCancellation(error)) await mover.cancelFollows(state);
    throw error;
  }
  state = close(state, Date.now(), timing);
  const verdict = judge(state);
  parking.showOutcome(verdict.outcome);
  await condition(allHandlersFinished);
  const events = Object.entries(state.verdicts).map(([eventId, answer]) => ({ eventId, ...answer }));
  return { ...verdict, primary: state.primary, events, follows: reportsOf(state) };
}

/** Must run before the workflow's first await: signals and updates may come in the very first task. */
function listen(tell: (said: Said) => void, read: () => IncidentState, queue: readonly Message[], mover: Mover): void {
  const isKnown = (eventId: string): boolean =>
    read().seen.includes(eventId) ||
    queue.some((message) => message.on === 'event' && message.event.eventId === eventId);
  setHandler(
    eventSignal,
    (value) => {
      const parsed = parseEvent(value);
      if ('error' in parsed) log.warn('event ignored', { error: parsed.error });
      else tell({ on: 'event', event: parsed.event });
    },
    {
      description:
        'An event from pgpool (failover, follow), a person (rejoin) or the watch. Repeats of one eventId count once.',
    },
  );
  setHandler(
    settledUpdate,
    async (eventId) => {
      await condition(() => read().verdicts[eventId] !== undefined);
      return read().verdicts[eventId]!;
    },
    {
      description: 'Waits until the event with this eventId is settled; answers {outcome, reason, line}.',
      validator: (eventId: string) => {
        if (!isKnown(eventId)) throw ApplicationFailure.nonRetryable(`no event ${eventId} in this run`, 'UnknownEvent');
      },
    },
  );
  setHandler(
    followedSignal,
    (node, number, report) => {
      if (!mover.isOwn(number)) tell({ on: 'followed', node, number, report });
    },
    { description: 'From a follow that an earlier run has started: it has ended.' },
  );
  setHandler(
    streamsSignal,
    () => {
      tell({ on: 'streams' });
    },
    { description: 'From a follow: its node streams, so commits may wait for it.' },
  );
  setHandler(stateQuery, read, { description: 'The incident as one value: events, nodes, decision, verdict.' });
}

/**
 * True when the run may continue as new: a parked question can make its history long. Follows go on; a decision, or
 * work in the background, must end first.
 */
function mayContinue(state: IncidentState): boolean {
  return workflowInfo().continueAsNewSuggested && isAtRest(state) && allHandlersFinished();
}

/** The next message, or the alarm that the state asks for. */
async function nextMessage(queue: Message[], state: IncidentState): Promise<Message> {
  const at = alarmAt(state);
  if (at === null) await condition(() => queue.length > 0);
  else await condition(() => queue.length > 0, Math.max(1, at - Date.now()), { summary: summaryOf(state) });
  return queue.shift() ?? { on: 'alarm', now: Date.now() };
}

function summaryOf({ decision, settling, look }: IncidentState): string {
  if (decision) return 'a newer failover event waits for this decision';
  if (settling) return 'pgpool goes first';
  return look ? 'parked: Failover' : 'late events join this run';
}

/** Shows people one message: the rows of the page that decided, and the incident's search attributes. */
function show(
  steps: Steps,
  parking: Parking,
  before: IncidentState,
  { state, told }: { readonly state: IncidentState; readonly told: readonly Told[] },
): void {
  if (told.length > 0) steps.note('Page', told.map(({ node, row }) => `node ${node}: row ${row}`).join('; '));
  const ended = before.decision && state.decision?.id !== before.decision.id ? before.decision : null;
  if (!ended) return;
  upsertSearchAttributes(searchAttributes({ operation: ended.events[0]!.kind }));
  parking.showOutcome(state.verdict.outcome);
}
