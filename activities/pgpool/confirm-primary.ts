// Waits until one pgpool shows the promoted node as its primary; makes it so when pgpool no longer looks.

import type { ClusterConfiguration } from '../../domain/facts/cluster';
import { failure, messageOf } from '../io/failures';
import type { PcpNodeInfo } from '../io/pcp/pcp';
import { findPgpool, isUp } from '../io/pcp/pgpool';
import type { Tools } from '../io/tools';

export interface ConfirmPrimaryInput {
  readonly configuration: ClusterConfiguration;
  readonly pgpool: string;
  readonly primary: number;
}

const pcpMs = 1500;
/** pgpool looks once a second for search_primary_node_timeout (5 s in our pgpool.conf) after its hook returned. */
const searchMs = 7000;
const firstLookMs = 200;
const lookMs = 100;
const settleMs = 25_000;
/** pgpool's queue holds ten requests (pool.h, MAX_REQUEST_QUEUE_SIZE). */
const attachPauseMs = 1000;

/** Idempotent. @throws Unproven when pgpool does not show the primary in time. */
export async function confirmPrimary(
  { pcp, attempt }: Tools,
  input: ConfirmPrimaryInput,
): Promise<{ changed: boolean; line: string }> {
  const pgpool = findPgpool(input.configuration, input.pgpool);
  const startedAt = Date.now();
  let changed = false;
  let isAsked = false;
  // pgpool is busy with its own failover now, and every question costs it a process.
  await attempt.sleep(firstLookMs);
  let seen = '';
  while (Date.now() - startedAt < settleMs) {
    attempt.tell(seen);
    try {
      const info = await pcp.readNodeInfo(pgpool, input.primary, { timeoutMs: pcpMs });
      if (info.role === 'primary' && isUp(info)) {
        return { changed, line: `pgpool ${pgpool.name} shows node ${input.primary} as its primary` };
      }
      seen = describe(info);
      if (info.status === 'down') {
        // A working primary that pgpool gave up. While pgpool still searches, the request waits in its queue.
        await pcp.requestAttach(pgpool, input.primary, { timeoutMs: pcpMs });
        changed = true;
        await attempt.sleep(attachPauseMs);
      } else if (!isAsked && Date.now() - startedAt > searchMs) {
        // The search expired, or this pgpool was never told. pcp_promote_node changes only pgpool's own view.
        await pcp.requestPromote(pgpool, input.primary, { timeoutMs: pcpMs });
        isAsked = true;
        changed = true;
      }
    } catch (error) {
      seen = messageOf(error);
    }
    await attempt.sleep(lookMs);
  }
  throw failure(
    'unproven',
    `pgpool ${pgpool.name} does not show node ${input.primary} as its primary: ${seen}; try pcp_promote_node ${input.primary}`,
  );
}

function describe(info: PcpNodeInfo): string {
  return `status ${info.status}, role ${info.role}, live role ${info.pgRole}`;
}
