// What is known of one cluster, for as long as it exists: the record, what people have in hand, and the watch that compares with the world. Never ends;
// continues as new when its history is long. Its memo holds record and maintenance as well, because looks read them there.

import {
  allHandlersFinished,
  ApplicationFailure,
  condition,
  makeContinueAsNewFunc,
  setHandler,
  sleep,
  upsertMemo,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { inForce, type Maintenance, startMaintenance, stopMaintenance } from '../domain/facts/maintenance';
import { recordedMemoName, watchedMemoName } from '../domain/facts/names';
import { type Conclusion, parseRecorded, type Recorded } from '../domain/facts/record';
import type { WatchState } from '../domain/facts/watch';
import { accept, conclude } from '../domain/plans/record';
import { perform } from './ground';
import {
  type Acceptance,
  acceptUpdate,
  concludeUpdate,
  leftSignal,
  type Maintaining,
  maintainUpdate,
  recordedQuery,
} from './messages';
import { searchAttributes } from './search-attributes';
import { Watching } from './watching';

interface Kept {
  recorded: Recorded;
  /** Given back by a person, and not told yet; null = the cluster. */
  given: (number | null)[];
}

/** Keeps what has changed, and returns it. */
type Keep = <Part extends Partial<Recorded>>(changed: Part) => Part;

/** @param carried what the run before this one has left; @param watched what its last watch has seen and told */
export async function cluster(name: string, carried: Recorded, watched: WatchState | null = null): Promise<void> {
  const kept: Kept = { recorded: parseRecorded(carried), given: [] };
  const read = (): Recorded => kept.recorded;
  const watching = new Watching(name, watched, read, (changed) => keep(changed));
  const keep: Keep = (changed) => {
    const before = kept.recorded;
    const recorded = { ...before, ...changed };
    // Another primary: what a person has decided about the cluster before says nothing any more.
    const isOther = recorded.record?.primary !== before.record?.primary;
    kept.recorded = isOther ? { ...recorded, left: [] } : recorded;
    upsertMemo({ [recordedMemoName]: kept.recorded });
    const { record, maintenance, left } = kept.recorded;
    if (record !== before.record || maintenance !== before.maintenance || left !== before.left) watching.startAgain();
    return changed;
  };
  listen(name, kept, keep);
  upsertSearchAttributes(searchAttributes({ cluster: name, operation: 'cluster' }));
  // A run that was started without a memo shows what it was given.
  upsertMemo({ [recordedMemoName]: kept.recorded });
  await Promise.all([watching.goOn(), giveBack(name, kept, keep)]);
  // An update's answer and the cancelled watch's last word come first: the server refuses updates to a run whose end they have held up.
  await sleep(settleMs, { summary: 'then it goes on in a new run' });
  await condition(allHandlersFinished);
  // The memo does not come along by itself.
  const next = makeContinueAsNewFunc<typeof cluster>({
    memo: { [recordedMemoName]: kept.recorded, [watchedMemoName]: watching.state },
  });
  await next(name, kept.recorded, watching.state);
}

function listen(name: string, kept: Kept, keep: Keep): void {
  setHandler(
    concludeUpdate,
    (conclusion: Conclusion) => keep({ record: conclude(kept.recorded.record, conclusion) }).record,
    { description: 'What an incident has left as true. One that is older than the record changes nothing.' },
  );
  setHandler(
    acceptUpdate,
    async (acceptance: Acceptance) => keep({ record: await lookAndAccept(name, acceptance) }).record,
    { description: 'A person says who the primary is: {"node": 1, "operator": "you"}.' },
  );
  setHandler(
    maintainUpdate,
    (maintaining: Maintaining) => {
      if (maintaining.action === 'stop') kept.given.push(maintaining.node);
      return keep({ maintenance: maintain(kept.recorded.maintenance, maintaining) }).maintenance;
    },
    { description: 'A person takes a node, or the cluster, in hand, or gives it back: pgpool-runbook maintenance.' },
  );
  setHandler(
    leftSignal,
    (nodes) => {
      keep({ left: [...new Set([...kept.recorded.left, ...nodes])] });
    },
    { description: 'From an incident: a person has let these nodes go.' },
  );
  setHandler(recordedQuery, () => kept.recorded, { description: 'What is known of the cluster.' });
}

/** Ends what has expired, and has an incident look at what was given back. Until the run's history is long. */
async function giveBack(name: string, kept: Kept, keep: Keep): Promise<void> {
  while (!workflowInfo().continueAsNewSuggested) {
    const left = await untilExpiry(
      () => kept.recorded.maintenance,
      () => kept.given.length > 0 || workflowInfo().continueAsNewSuggested,
    );
    const back = [...kept.given, ...left];
    kept.given = [];
    if (left.length > 0)
      keep({ maintenance: left.reduce<readonly Maintenance[]>(stopMaintenance, kept.recorded.maintenance) });
    for (const node of back) await tellIncident(name, node ?? kept.recorded.record?.primary ?? 0);
  }
}

const settleMs = 1000;

function maintain(maintenance: readonly Maintenance[], maintaining: Maintaining): readonly Maintenance[] {
  const { node, operator } = maintaining;
  const now = new Date(Date.now());
  const known = inForce(maintenance, now.toISOString());
  if (maintaining.action === 'stop') return stopMaintenance(known, node);
  const { reason, forMs } = maintaining;
  const until = forMs === null ? null : new Date(now.getTime() + forMs).toISOString();
  return startMaintenance(known, { node, operator, reason, since: now.toISOString(), until });
}

/** @throws ApplicationFailure NotAccepted when the facts do not bear it */
async function lookAndAccept(cluster: string, acceptance: Acceptance) {
  const why = `is node ${acceptance.node} the primary, as ${acceptance.operator} says?`;
  const { configuration, facts } = await perform('observe', { cluster, suspect: null }, why);
  const accepted = accept(configuration, facts, acceptance);
  if (typeof accepted === 'string') throw ApplicationFailure.nonRetryable(accepted, 'NotAccepted');
  return accepted;
}

/** Waits until one of them expires, they change, or `isOver`; the nodes (null = the cluster) whose time is over. */
async function untilExpiry(read: () => readonly Maintenance[], isOver: () => boolean): Promise<(number | null)[]> {
  const known = read();
  const ends = known.flatMap(({ until }) => (until === null ? [] : [Date.parse(until)]));
  const hasChanged = (): boolean => isOver() || read() !== known;
  if (ends.length === 0) await condition(hasChanged);
  else {
    const ms = Math.max(1, Math.min(...ends) - Date.now());
    await condition(hasChanged, ms, { summary: 'until the maintenance is over' });
  }
  const now = new Date(Date.now()).toISOString();
  const left = inForce(read(), now);
  return read().flatMap((entry) => (left.includes(entry) ? [] : [entry.node]));
}

/** What was left undecided, or alone, is looked at again at once. */
async function tellIncident(cluster: string, node: number): Promise<void> {
  const eventId = `given-back-${node}-${Date.now()}`;
  await perform('signalIncident', { cluster, node, eventId }, 'a maintenance or a pause is over');
}
