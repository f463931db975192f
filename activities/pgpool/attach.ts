// Tells one pgpool that a proven standby may be used again, and waits until pgpool says so itself.

import type { ClusterConfiguration } from '../../domain/facts/cluster';
import { failure, messageOf } from '../io/failures';
import { describeUnheard, findPgpool, isUnheard, isUp } from '../io/pcp/pgpool';
import type { Tools } from '../io/tools';

export interface AttachInput {
  readonly configuration: ClusterConfiguration;
  readonly pgpool: string;
  readonly node: number;
  /** pgpool must show this node as its primary first: until then its "up" is about the world before the failover. */
  readonly primary: number;
}

export interface AttachResult {
  readonly changed: boolean;
  readonly line: string;
}

const pcpMs = 1500;
const lookMs = 100;
const settleMs = 20_000;
/** How long pgpool's main process sleeps after a failover, and some more: see docs/decisions/0012. */
const afterFailoverMs = 1500;
/** An attach takes about a second; pgpool's queue holds ten requests (pool.h, MAX_REQUEST_QUEUE_SIZE). */
const askAgainMs = 4000;
/** Sums the time to settle and a last round, which has two looks at once, the request, and the pause. */
export const boundMs = settleMs + pcpMs + pcpMs + lookMs;

/** Idempotent. @throws Unproven when pgpool does not show the node up in time, or itself gets no answer from it. */
export async function attach({ pcp, attempt }: Tools, input: AttachInput): Promise<AttachResult> {
  const pgpool = findPgpool(input.configuration, input.pgpool);
  const deadline = Date.now() + settleMs;
  let changed = false;
  let askNotBefore = 0;
  let seen = '';
  while (Date.now() < deadline) {
    attempt.tell(seen);
    try {
      const [primary, own] = await Promise.all([
        pcp.readNodeInfo(pgpool, input.primary, { timeoutMs: pcpMs }),
        pcp.readNodeInfo(pgpool, input.node, { timeoutMs: pcpMs }),
      ]);
      seen = `node ${input.node} is ${own.status}, its primary is ${primary.role === 'primary' ? '' : 'not yet '}node ${input.primary}`;
      if (primary.role === 'primary' || input.node === input.primary) {
        if (isUp(own)) return { changed, line: `pgpool ${pgpool.name} uses node ${input.node}` };
        if (isUnheard(own)) seen += `; ${describeUnheard(pgpool.name, input.node)}`;
        else if (Date.now() >= askNotBefore) {
          // Only a request: pgpool restarts its PCP process after it, so a broken next call is normal.
          await pcp.requestAttach(pgpool, input.node, { timeoutMs: pcpMs });
          changed = true;
          askNotBefore = Date.now() + askAgainMs;
        }
      }
      // A failover of that pgpool goes on, or is about to end.
      else askNotBefore = Math.max(askNotBefore, Date.now() + afterFailoverMs);
    } catch (error) {
      seen = messageOf(error);
    }
    await attempt.sleep(lookMs);
  }
  throw failure(
    'unproven',
    `pgpool ${pgpool.name} does not show node ${input.node} up after ${settleMs / 1000} s: ${seen}`,
  );
}
