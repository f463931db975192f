// The knowledge of one cluster, for as long as it exists: the record, maintenance and pauses, and the watch. Never
// ends; continues as new when its history is long. Its memo also holds record and maintenance, because looks read them
// there.

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
  /** Nodes whose maintenance has ended and whose incident is not told yet; null = the cluster. */
  given: (number | null)[];
}

/** Keeps the changed parts, and returns them. */
type Keep = <Part extends Partial<Recorded>>(changed: Part) => Part;

/** @param carried the state of the last run; @param watched the state of its last watch */
export async function cluster(name: string, carried: Recorded, watched: WatchState | null = null): Promise<void> {
  const kept: Kept = { recorded: parseRecorded(carried), given: [] };
  const read = (): Recorded => kept.recorded;
  const watching = new Watching(name, watched, read, (changed) => keep(changed));
  const keep: Keep = (changed) => {
    const before = kept.recorded;
    const recorded = { ...before, ...changed };
    // Under another primary a person's earlier choices no longer count.
    const isOther = recorded.record?.primary !== before.record?.primary;
    kept.recorded = isOther ? { ...recorded, left: [] } : recorded;
    upsertMemo({ [recordedMemoName]: kept.recorded });
    const { record, maintenance, left } = kept.recorded;
    if (record !== before.record || maintenance !== before.maintenance || left !== before.left) watching.startAgain();
    return changed;
  };
  listen(name, kept, keep);
  upsertSearchAttributes(searchAttributes({ cluster: name, operation: 'cluster' }));
  // Write the memo, because a run may be started without one.
  upsertMemo({ [recordedMemoName]: kept.recorded });
  await Promise.all([watching.goOn(), giveBack(name, kept, keep)]);
  // Wait for the last update's answer and the cancelled watch's last heartbeat: the server refuses updates to a run
  // whose end they have delayed.
  await sleep(lastWordsMs, { summary: 'then the workflow goes on in a new run' });
  await condition(allHandlersFinished);
  // The next run does not inherit the memo.
  const next = makeContinueAsNewFunc<typeof cluster>({
    memo: { [recordedMemoName]: kept.recorded, [watchedMemoName]: watching.state },
  });
  await next(name, kept.recorded, watching.state);
}

function listen(name: string, kept: Kept, keep: Keep): void {
  setHandler(
    concludeUpdate,
    (conclusion: Conclusion) => keep({ record: conclude(kept.recorded.record, conclusion) }).record,
    { description: 'The conclusion of an incident. One that is older than the record changes nothing.' },
  );
  setHandler(
    acceptUpdate,
    async (acceptance: Acceptance) => keep({ record: await lookAndAccept(name, acceptance) }).record,
    { description: 'A person says which node is the primary: {"node": 1, "operator": "you"}.' },
  );
  setHandler(
    maintainUpdate,
    (maintaining: Maintaining) => {
      if (maintaining.action === 'stop') kept.given.push(maintaining.node);
      return keep({ maintenance: maintain(kept.recorded.maintenance, maintaining) }).maintenance;
    },
    { description: 'A person starts or stops the maintenance of a node, or a pause: pgpool-runbook maintenance.' },
  );
  setHandler(
    leftSignal,
    (nodes) => {
      keep({ left: [...new Set([...kept.recorded.left, ...nodes])] });
    },
    { description: 'From an incident: a person has chosen to leave these nodes as they are.' },
  );
  setHandler(recordedQuery, () => kept.recorded, {
    description: 'The record, maintenance and pauses, and the nodes that a person has chosen to leave.',
  });
}

/**
 * Ends expired maintenance, and has an incident look at each node whose maintenance is over. Returns when the run's
 * history is long.
 */
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

const lastWordsMs = 1000;

function maintain(maintenance: readonly Maintenance[], maintaining: Maintaining): readonly Maintenance[] {
  const { node, operator } = maintaining;
  const now = new Date(Date.now());
  const known = inForce(maintenance, now.toISOString());
  if (maintaining.action === 'stop') return stopMaintenance(known, node);
  const { reason, forMs } = maintaining;
  const until = forMs === null ? null : new Date(now.getTime() + forMs).toISOString();
  return startMaintenance(known, { node, operator, reason, since: now.toISOString(), until });
}

/** @throws ApplicationFailure NotAccepted when the facts contradict the person */
async function lookAndAccept(cluster: string, acceptance: Acceptance) {
  const why = `is node ${acceptance.node} the primary, as ${acceptance.operator} says?`;
  const { configuration, facts } = await perform('observe', { cluster, suspect: null }, why);
  const accepted = accept(configuration, facts, acceptance);
  if (typeof accepted === 'string') throw ApplicationFailure.nonRetryable(accepted, 'NotAccepted');
  return accepted;
}

/**
 * Waits until one of them expires, they change, or `isOver`; returns the nodes (null = the cluster) whose time is over.
 */
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

/** Has an incident look at once at a node that was left undecided or alone. */
async function tellIncident(cluster: string, node: number): Promise<void> {
  const eventId = `given-back-${node}-${Date.now()}`;
  await perform('signalIncident', { cluster, node, eventId }, 'a maintenance or a pause is over');
}
