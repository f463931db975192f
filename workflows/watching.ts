// The watches of one cluster, one after the other: each ends when something differs, which an incident is then told.

import {
  CancellationScope,
  isCancellation,
  log,
  setCurrentDetails,
  sleep,
  upsertMemo,
  workflowInfo,
} from '@temporalio/workflow';
import type { WatchReport } from '../activities/look/watch';
import { watchedMemoName } from '../domain/facts/names';
import type { Recorded } from '../domain/facts/record';
import type { Difference, WatchState } from '../domain/facts/watch';
import { conclude } from '../domain/plans/record';
import { eventOf } from '../domain/plans/watch';
import { perform } from './ground';
import { StepFailed } from './runbooks/ground';

const interruptionMs = 60_000;

export class Watching {
  /** The scope of the running watch. */
  private scope: CancellationScope | null = null;

  /** @param state the state of the last watch */
  constructor(
    private readonly cluster: string,
    public state: WatchState | null,
    private readonly read: () => Recorded,
    private readonly keep: (changed: Partial<Recorded>) => unknown,
  ) {}

  /** Starts the watch again, because the running one compares with an old record or an old maintenance. */
  startAgain(): void {
    this.scope?.cancel();
  }

  /** Watches until the run's history is long. */
  async goOn(): Promise<void> {
    while (!workflowInfo().continueAsNewSuggested) {
      try {
        await this.watchAndTell();
      } catch (error) {
        if (!(error instanceof StepFailed)) throw error;
        // The record must survive the end of its watch.
        log.warn(`the watch is interrupted: ${error.message}`);
        await sleep(interruptionMs, { summary: 'then the watch goes on' });
      }
    }
  }

  private async watchAndTell(): Promise<void> {
    const report = await this.watch();
    if (!report) return;
    this.state = report.state;
    upsertMemo({ [watchedMemoName]: report.state });
    this.takeUp(report);
    showTold(report);
    for (const difference of report.told) await this.tell(difference);
  }

  /** Null when it was cancelled, to be started again. */
  private async watch(): Promise<WatchReport | null> {
    const scope = new CancellationScope();
    this.scope = scope;
    const input = { cluster: this.cluster, ...this.read(), state: this.state };
    try {
      return await scope.run(() => perform('watch', input));
    } catch (error) {
      if (isCancellation(error) && !CancellationScope.current().consideredCancelled) return null;
      throw error;
    } finally {
      this.scope = null;
    }
  }

  /** The record that the watch has found to be true. */
  private takeUp({ conclusion, told }: WatchReport): void {
    const { left } = this.read();
    const back = told.flatMap(({ kind, node }) => (kind === 'answers' || kind === 'taken-up' ? [node] : []));
    const still = left.filter((node) => !back.includes(node));
    if (still.length < left.length) this.keep({ left: still });
    if (conclusion) this.keep({ record: conclude(this.read().record, conclusion) });
  }

  private async tell(difference: Difference): Promise<void> {
    const event = eventOf(difference);
    if (event) {
      log.info(`watch: ${difference.line}`);
      const { node, eventId, kind, oldPrimary } = event;
      const more = { kind, oldPrimary, seen: difference.line };
      await perform('signalIncident', { cluster: this.cluster, node, eventId, more }, difference.line);
    } else if (difference.kind === 'primary-silent') log.warn(`watch: ${difference.line}`);
  }
}

function showTold({ told }: WatchReport): void {
  const rows = told.map(({ since, line }) => `| ${since} | ${line.replaceAll('|', '\\|')} |`);
  setCurrentDetails(['### What the watch has told last', '', '| since | what |', '|---|---|', ...rows].join('\n'));
}
