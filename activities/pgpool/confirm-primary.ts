// Waits until one pgpool shows the promoted node as its primary; makes it so when pgpool no longer looks.

import type { ClusterConfiguration } from '../../domain/facts/cluster';
import { failure, messageOf } from '../io/failures';
import type { PcpNodeInfo, PcpTarget } from '../io/pcp/pcp';
import { describeUnheard, findPgpool, isUnheard, isUp } from '../io/pcp/pgpool';
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
/** Time in which pgpool must show the primary. */
const confirmMs = 25_000;
/** pgpool's queue holds ten requests (pool.h, MAX_REQUEST_QUEUE_SIZE). */
const attachPauseMs = 1000;
/** Without a search an attach takes effect within a second; after so many it waits in the queue. */
const promptAttaches = 3;
const queuedPauseMs = 5000;
/** Sums the time to show it and a last round, which has a look, the request, the setting that explains the wait, and both pauses. */
export const boundMs = confirmMs + 3 * pcpMs + Math.max(attachPauseMs, queuedPauseMs) + lookMs;

/**
 * Idempotent. A primary that pgpool has given up is asked to be attached: while pgpool still searches for a primary among the others, it does nothing else,
 * and the request waits in its queue until the search is over (measured, pgpool 4.3.5).
 * @throws Unproven when pgpool does not show the primary in time
 */
export async function confirmPrimary(
  { pcp, attempt }: Tools,
  input: ConfirmPrimaryInput,
): Promise<{ changed: boolean; line: string }> {
  const pgpool = findPgpool(input.configuration, input.pgpool);
  const startedAt = Date.now();
  let changed = false;
  let isAsked = false;
  let isIgnored = false;
  let attaches = 0;
  // pgpool is busy with its own failover now, and every question costs it a process.
  await attempt.sleep(firstLookMs);
  let seen = '';
  while (Date.now() - startedAt < confirmMs) {
    attempt.tell(seen);
    try {
      const info = await pcp.readNodeInfo(pgpool, input.primary, { timeoutMs: pcpMs });
      if (info.role === 'primary' && isUp(info)) {
        return { changed, line: `pgpool ${pgpool.name} shows node ${input.primary} as its primary` };
      }
      seen = describe(info);
      isIgnored = info.status === 'down' && isUnheard(info);
      if (isIgnored) seen += `; ${describeUnheard(pgpool.name, input.primary)}`;
      else if (info.status === 'down') {
        await pcp.requestAttach(pgpool, input.primary, { timeoutMs: pcpMs });
        changed = true;
        attaches += 1;
        if (attaches > promptAttaches) seen += `; ${await explainWait(pcp, pgpool)}`;
        attempt.tell(seen);
        await attempt.sleep(attaches > promptAttaches ? queuedPauseMs : attachPauseMs);
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
  // pcp_promote_node does nothing for a node that is down.
  const advice = isIgnored ? '' : `; try pcp_promote_node ${input.primary}`;
  throw failure(
    'unproven',
    `pgpool ${pgpool.name} does not show node ${input.primary} as its primary: ${seen}${advice}`,
  );
}

/** Why an attach takes no effect, in words: how long pgpool may search by its own setting. */
async function explainWait(pcp: Tools['pcp'], pgpool: PcpTarget): Promise<string> {
  const seconds = await pcp.readSetting(pgpool, 'search_primary_node_timeout', { timeoutMs: pcpMs });
  if (seconds === null) return 'the attach waits in the queue of pgpool';
  const bound = seconds === '0' ? 'without end' : `for up to ${seconds} s`;
  return `the attach waits in the queue of pgpool, which searches for a primary ${bound} (search_primary_node_timeout) and serves nobody meanwhile; 5 s is enough`;
}

function describe(info: PcpNodeInfo): string {
  return `status ${info.status}, role ${info.role}, live role ${info.pgRole}`;
}
