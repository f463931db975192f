// Everything that follows a decision: standbys follow, every pgpool agrees, missing nodes are awaited. Never waited for by a promotion.

import { CancellationScope, isCancellation } from '@temporalio/workflow';
import type { ClusterConfiguration } from '../domain/cluster';
import type { ReasonCode } from '../domain/outcome';
import { attach, confirmPrimary, setSynchronousStandbys } from './activity-options';
import type { Followers } from './followers';
import { Aborted, type Parking } from './parking';
import { messageOf, type Steps } from './step';

type Concern = 'pgpools' | 'followers' | 'synchronous';

export class Convergence {
  /** pgpool's confirmations and last looks: the incident does not end before they do, and takes new events meanwhile. */
  private readonly background = new Set<CancellationScope>();
  private readonly problems = new Map<Concern, ReasonCode>();
  private primary: number | null = null;

  constructor(
    private readonly steps: Steps,
    private readonly parking: Parking,
    private readonly followers: Followers,
  ) {}

  get isBusy(): boolean {
    return this.followers.isBusy || this.background.size > 0;
  }

  /** Why the primary's service is not proven although nothing failed before; null when it is. */
  get problem(): ReasonCode | null {
    return [...this.problems.values()][0] ?? null;
  }

  /** Once the primary has changed, older follows and confirmations are about a world that is gone. True if this run served another one. */
  servePrimary(primary: number): boolean {
    if (this.primary === primary) return false;
    const wasServing = this.primary !== null;
    this.primary = primary;
    this.followers.forgetPrimary();
    for (const scope of this.background) scope.cancel();
    this.problems.clear();
    return wasServing;
  }

  /** Makes every pgpool show this primary, in the background. */
  confirmPgpools(configuration: ClusterConfiguration, primary: number): void {
    this.inBackground(async (scope) => {
      const results = await Promise.all(
        configuration.pgpool.map(({ name: pgpool }) =>
          this.attempt(`confirm.${pgpool}`, `Confirm ${pgpool}`, () =>
            confirmPrimary.executeWithOptions({ summary: `${pgpool} shows node ${String(primary)} as its primary` }, [
              { configuration, pgpool, primary },
            ]),
          ),
        ),
      );
      this.judge(scope, 'pgpools', results.every(Boolean) ? null : 'pgpool-unconfirmed');
    });
  }

  /** Once the follows are done, in the background: the synchronous set by policy, then a last look that every pgpool uses every follower. */
  finish(configuration: ClusterConfiguration, primary: number): void {
    this.inBackground(async (scope) => {
      if (configuration.policy.synchronous.standbys > 0) {
        const isSet = await this.attempt('synchronous-standbys', 'Set the synchronous standbys', () =>
          setSynchronousStandbys.executeWithOptions({ summary: 'commits wait for those who stream' }, [
            { configuration, primary },
          ]),
        );
        this.judge(scope, 'synchronous', isSet ? null : 'step-failed');
      }
      for (const node of this.followers.takeDoubted()) {
        for (const { name: pgpool } of configuration.pgpool) {
          const isAttached = await this.attempt(
            `node${String(node)}.confirm.${pgpool}`,
            `Confirm node ${String(node)} in ${pgpool}`,
            () =>
              attach.executeWithOptions({ summary: `${pgpool} still uses node ${String(node)}` }, [
                { configuration, pgpool, node, primary },
              ]),
          );
          if (!isAttached) this.judge(scope, 'followers', 'pgpool-unconfirmed');
        }
      }
    });
  }

  /** False when a person let it go. */
  private async attempt(stepId: string, title: string, act: () => Promise<{ line: string }>): Promise<boolean> {
    const question = { stepId, title, choices: ['retry', 'skip'] as const };
    const done = await this.parking.runOrPark(question, () => this.steps.run(title, act, ({ line }) => line));
    return done !== null;
  }

  private inBackground(body: (scope: CancellationScope) => Promise<void>): void {
    const scope = new CancellationScope();
    this.background.add(scope);
    const done = scope
      .run(() => body(scope))
      .catch((error: unknown) => {
        // Cancelled because the primary changed; nobody awaits this, and a rejection would fail the task for ever.
        if (!isCancellation(error) && !(error instanceof Aborted))
          this.steps.note('In the background', messageOf(error));
      });
    void done.finally(() => this.background.delete(scope));
  }

  private judge(scope: CancellationScope, what: Concern, reason: ReasonCode | null): void {
    if (scope.consideredCancelled) return;
    if (reason === null) this.problems.delete(what);
    else this.problems.set(what, reason);
  }
}
