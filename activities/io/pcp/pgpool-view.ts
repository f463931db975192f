// The view of one pgpool, looked at again and again beside other looks: with a vanished host one answer may take pgpool's connect_timeout.

import type { PgpoolSample, ShownNode } from '../../../domain/facts/watch';
import { messageOf } from '../failures';
import { refusalPauseMs } from '../refusals';
import { type Pcp, PcpFailure, type PcpSession, type PcpTarget } from './pcp';

/** Each look is a connection: three lines in pgpool's log. */
const everyMs = 10_000;
/** pgpool's connect_timeout is 10 s by default. */
const answerMs = 12_000;

const answers: readonly string[] = ['refused', 'authentication', 'rejected', 'protocol'];

export class PgpoolView {
  /** Null until the first look has ended. */
  sample: PgpoolSample | null = null;
  private session: PcpSession | null = null;
  private readonly pace = { nextAt: 0, refusals: 0 };

  constructor(
    private readonly pcp: Pcp,
    private readonly target: PcpTarget,
  ) {}

  /** Begins a look if one is due and none is under way. Nodes are asked in this order. */
  lookIfDue(nodes: readonly number[]): void {
    if (this.session || Date.now() < this.pace.nextAt) return;
    this.pace.nextAt = Date.now() + everyMs;
    const session = this.pcp.openSession(this.target);
    this.session = session;
    void this.look(session, nodes).finally(() => {
      session.close();
      this.session = null;
    });
  }

  /** Something has changed: what pgpool makes of it matters now. */
  lookSoon(): void {
    if (this.pace.refusals === 0) this.pace.nextAt = 0;
  }

  close(): void {
    this.session?.close();
  }

  /** Never rejects. */
  private async look(session: PcpSession, ids: readonly number[]): Promise<void> {
    const nodes: ShownNode[] = [];
    const failures: unknown[] = [];
    for (const node of ids) {
      try {
        const { status, role } = await session.readNodeInfo(node, { timeoutMs: answerMs });
        nodes.push({ node, status, role });
      } catch (error) {
        failures.push(error);
        // Whatever else it would be asked, nobody is there to answer.
        if (!(error instanceof PcpFailure) || error.kind !== 'rejected') break;
      }
    }
    const isReached =
      nodes.length > 0 || failures.some((error) => error instanceof PcpFailure && answers.includes(error.kind));
    this.sample = {
      pgpool: this.target.name,
      at: new Date().toISOString(),
      isReached,
      nodes: nodes.sort((left, right) => left.node - right.node),
      seen: [...new Set(failures.map(messageOf))].join('; '),
    };
    this.slowDown(
      failures.some((error) => error instanceof PcpFailure && !error.isRetryable && error.kind !== 'rejected'),
    );
  }

  private slowDown(isRefused: boolean): void {
    const { pace } = this;
    pace.refusals = isRefused ? pace.refusals + 1 : 0;
    if (isRefused) pace.nextAt = Date.now() + refusalPauseMs(pace.refusals);
  }
}
