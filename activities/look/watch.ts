// Compares the cluster with its record, every second and for as long as nothing differs: returns at the first difference that is new and has lasted.

import type { ClusterConfiguration } from '../../domain/facts/cluster';
import type { ClusterRecord, Conclusion, Recorded } from '../../domain/facts/record';
import { type Difference, newerState, parseWatchState, type WatchState } from '../../domain/facts/watch';
import { concludeSamples } from '../../domain/plans/record';
import { observeSample, tellDue } from '../../domain/plans/watch';
import { PgpoolView } from '../io/pcp/pgpool-view';
import { type HeardNode, nodeWordsBoundMs, readNodeWords } from '../io/sql/node-words';
import { refusalPauseMs } from '../io/refusals';
import type { Tools } from '../io/tools';

export interface WatchInput extends Recorded {
  readonly cluster: string;
  /** The state that an earlier watch has left; null = nothing. */
  readonly state: WatchState | null;
}

export interface WatchReport {
  readonly told: readonly Difference[];
  /** The conclusion that fills an empty record. */
  readonly conclusion: Conclusion | null;
  readonly state: WatchState;
  readonly line: string;
}

const everyMs = 1000;
const answerMs = 800;
/** Longer than pgpool takes from its first failed check to the end of its failover. */
const silentMs = 10_000;
/** So long without a change, the samples are sent all the same: decisions read them, and a dead worker is noticed. */
const beatMs = 10_000;
const lookMs = nodeWordsBoundMs(answerMs);
/**
 * Bounds the time between two heartbeats, because a watch has no end: sums their pace, a last round, and the look of the next one. An answer
 * of isIncidentOpen() adds its own time.
 */
export const boundMs = beatMs + Math.max(everyMs, lookMs) + lookMs;

/** Reads only; silence is a fact, never an error. A second one beside it, until it notices its cancellation, does no harm. @throws Cancelled */
export async function watch(tools: Tools, input: WatchInput): Promise<WatchReport> {
  const { attempt } = tools;
  const eyes = new Eyes(tools);
  let state = await findLastState(tools, input);
  let beatAt = 0;
  try {
    for (;;) {
      const startedAt = attempt.now();
      const configuration = tools.readConfiguration(input.cluster);
      const look = { at: new Date(startedAt).toISOString(), ...(await eyes.look(configuration)) };
      const seen = observeSample(state, look, input, configuration);
      ({ state } = seen);
      if (seen.isChange) eyes.lookSoon();
      if (seen.isChange || startedAt - beatAt >= beatMs) {
        attempt.tell(state);
        beatAt = startedAt;
      }
      // Nobody is asked for an incident while there is nothing to tell it.
      const isOpen = seen.due.length > 0 ? await tools.isIncidentOpen(configuration) : null;
      const answer = isOpen === null ? null : tellDue(state, seen.due, isOpen);
      if (answer && answer.told.length > 0) {
        attempt.tell(answer.state);
        return report(configuration, input.record, answer);
      }
      await attempt.sleep(Math.max(1, startedAt + everyMs - attempt.now()));
    }
  } finally {
    eyes.close();
  }
}

/** The youngest of what was left to it, of its own last attempt's, and of the watch's that has just been cancelled. */
async function findLastState(tools: Tools, { cluster, state }: WatchInput): Promise<WatchState | null> {
  const own = newerState(state, parseWatchState(tools.attempt.earlier));
  const { watch: last } = await tools.recall(tools.readConfiguration(cluster));
  return newerState(own, last);
}

function report(
  configuration: ClusterConfiguration,
  record: ClusterRecord | null,
  { state, told }: { readonly state: WatchState; readonly told: readonly Difference[] },
): WatchReport {
  const settled = told.find(({ kind }) => kind === 'no-record');
  const conclusion = settled ? concludeSamples(configuration, state.samples, settled.node!, record?.at ?? null) : null;
  return { told, conclusion, state, line: told.map(({ line }) => line).join('; ') };
}

/** Of one watch: a look at every node, and a view of every pgpool that is looked at beside it. */
class Eyes {
  private readonly views = new Map<string, PgpoolView>();
  /** The words of a node that refuses the worker, and until when it is left alone. */
  private readonly refused = new Map<number, { heard: HeardNode; until: number; times: number }>();
  /** Since when a node has been silent. */
  private readonly silentSince = new Map<number, number>();

  constructor(private readonly tools: Tools) {}

  async look(configuration: ClusterConfiguration) {
    const nodes = await Promise.all(configuration.nodes.map((node) => this.hear(configuration, node.id)));
    const order = this.orderForPgpool(nodes);
    const pgpools = configuration.pgpool.flatMap((pgpool) => {
      const key = JSON.stringify(pgpool);
      const view = this.views.get(key) ?? new PgpoolView(this.tools.pcp, pgpool);
      this.views.set(key, view);
      view.lookIfDue(order);
      return view.sample ?? [];
    });
    return { nodes, pgpools };
  }

  lookSoon(): void {
    for (const view of this.views.values()) view.lookSoon();
  }

  close(): void {
    for (const view of this.views.values()) view.close();
  }

  /**
   * pgpool pings a node before it answers for it. While it waits for a vanished host it cannot end a failover, so a silent node is asked about last, and not
   * at all while pgpool may be in the middle of that.
   */
  private orderForPgpool(nodes: readonly HeardNode[]): number[] {
    const now = this.tools.attempt.now();
    for (const { node, isSilent } of nodes)
      if (!isSilent) this.silentSince.delete(node);
      else if (!this.silentSince.has(node)) this.silentSince.set(node, now);
    return nodes
      .filter(({ node }) => now - (this.silentSince.get(node) ?? -Infinity) >= silentMs)
      .sort((left, right) => Number(left.isSilent) - Number(right.isSilent))
      .map(({ node }) => node);
  }

  private async hear(configuration: ClusterConfiguration, id: number): Promise<HeardNode> {
    const last = this.refused.get(id);
    if (last && this.tools.attempt.now() < last.until) return last.heard;
    const node = configuration.nodes.find((entry) => entry.id === id)!;
    const heard = await readNodeWords(this.tools.sql, configuration, node, answerMs);
    const times = heard.isRefused ? (last?.times ?? 0) + 1 : 0;
    const until = this.tools.attempt.now() + refusalPauseMs(times);
    if (heard.isRefused) this.refused.set(id, { heard, until, times });
    else this.refused.delete(id);
    return heard;
  }
}
