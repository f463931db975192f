// Everything that follows a decision: standbys follow, every pgpool agrees, missing nodes are awaited. Never waited for by a promotion.

import { CancellationScope, isCancellation } from '@temporalio/workflow';
import type { ClusterConfiguration } from '../domain/facts/cluster';
import type { ReasonCode } from '../domain/facts/reasons';
import type { Followers } from './followers';
import { Aborted, untilDone } from './runbooks/asking';
import type { Ground } from './runbooks/ground';
import { messageOf } from './step';

export class Convergence {
  /** pgpool's confirmations and last looks: the incident does not end before they do, and takes new events meanwhile. */
  private readonly background = new Set<CancellationScope>();
  private readonly problems = new Map<string, ReasonCode>();
  private readonly asked = new Set<string>();
  private isSetting = false;
  private mustSetAgain = false;
  private primary: number | null = null;

  constructor(
    private readonly ground: Ground,
    private readonly followers: Followers,
  ) {}

  get isBusy(): boolean {
    return this.followers.isBusy || this.background.size > 0;
  }

  /** Why the primary's service is not proven although nothing failed before; null when it is. */
  get problem(): ReasonCode | null {
    return [...this.problems.values()][0] ?? null;
  }

  /**
   * Once the primary has changed, older follows and confirmations are about a world that is gone.
   * @param attachNotBefore workflow time in milliseconds
   * @returns whether this run served another one
   */
  servePrimary(primary: number, attachNotBefore: number): boolean {
    if (this.primary === primary) {
      this.followers.delayAttach(attachNotBefore);
      return false;
    }
    const wasServing = this.primary !== null;
    this.primary = primary;
    this.followers.forgetPrimary(attachNotBefore);
    for (const scope of this.background) scope.cancel();
    this.problems.clear();
    this.asked.clear();
    this.isSetting = false;
    return wasServing;
  }

  /** Makes every pgpool show this primary, in the background. One that is being asked already is not asked twice. */
  confirmPgpools(configuration: ClusterConfiguration, primary: number): void {
    for (const { name: pgpool } of configuration.pgpool) {
      if (this.asked.has(pgpool)) continue;
      this.asked.add(pgpool);
      this.inBackground(async (scope) => {
        try {
          const isShown = await this.attempt(
            `confirm.${pgpool}`,
            `Confirm ${pgpool}`,
            { configuration, primary },
            (current) =>
              this.ground.act.confirmPrimary(
                { configuration: current, pgpool, primary },
                `it shows node ${primary} as its primary`,
              ),
          );
          this.judge(scope, `pgpool ${pgpool}`, isShown ? null : 'pgpool-unconfirmed');
        } finally {
          if (!scope.consideredCancelled) this.asked.delete(pgpool);
        }
      });
    }
  }

  /** Commits wait for those who stream, by policy; as soon as one does, because until then they wait for nobody. In the background. */
  setSynchronous(configuration: ClusterConfiguration, primary: number): void {
    if (configuration.policy.synchronous.standbys === 0) return;
    this.mustSetAgain = true;
    if (this.isSetting) return;
    this.isSetting = true;
    this.inBackground(async (scope) => {
      try {
        while (this.mustSetAgain) {
          this.mustSetAgain = false;
          const title = 'Set the synchronous standbys';
          const isSet = await this.attempt('synchronous-standbys', title, { configuration, primary }, (current) =>
            this.ground.act.setSynchronousStandbys({ configuration: current, primary }),
          );
          // Let go by a person: only what comes after that is a reason to try again.
          if (!isSet) this.mustSetAgain = false;
          this.judge(scope, 'synchronous', isSet ? null : 'step-failed');
        }
      } finally {
        if (!scope.consideredCancelled) this.isSetting = false;
      }
    });
  }

  /** Once the follows are done, in the background: a last look that every pgpool uses every follower. */
  finish(configuration: ClusterConfiguration, primary: number): void {
    for (const node of this.followers.takeDoubted()) {
      for (const { name: pgpool } of configuration.pgpool) {
        this.inBackground(async (scope) => {
          const stepId = `node${node}.confirm.${pgpool}`;
          const title = `Confirm node ${node} in ${pgpool}`;
          const isAttached = await this.attempt(stepId, title, { configuration, primary }, (current) =>
            this.ground.act.attach({ configuration: current, pgpool, node, primary }, 'pgpool still uses it'),
          );
          this.judge(scope, stepId, isAttached ? null : 'pgpool-unconfirmed');
        });
      }
    }
  }

  /** False when a person let it go. A repetition reads the cluster file anew: it may have been corrected. */
  private async attempt(
    stepId: string,
    title: string,
    { configuration, primary }: { configuration: ClusterConfiguration; primary: number },
    act: (configuration: ClusterConfiguration) => Promise<{ line: string }>,
  ): Promise<boolean> {
    const question = { stepId, title, choices: ['retry', 'skip'] as const };
    const { cluster } = configuration;
    const done = await untilDone(this.ground, question, async (isRepeated) => {
      // The cluster file, as it is now.
      const look = () => this.ground.act.observe({ cluster, suspect: primary });
      return await act(isRepeated ? (await look()).configuration : configuration);
    });
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
          this.ground.note('In the background', messageOf(error));
      });
    void done.finally(() => this.background.delete(scope));
  }

  private judge(scope: CancellationScope, what: string, reason: ReasonCode | null): void {
    if (scope.consideredCancelled) return;
    if (reason === null) this.problems.delete(what);
    else this.problems.set(what, reason);
  }
}
