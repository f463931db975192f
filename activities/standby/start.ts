// Starts PostgreSQL on a stopped standby, and proves that it answers and is in recovery. What would come up writable is not started.

import { type ClusterConfiguration, getNode, type NodeConfiguration } from '../../domain/facts/cluster';
import { serviceCommands } from '../../domain/texts/service';
import type { NodeFacts } from '../../domain/facts/facts';
import { actBoundMs, look, mustAct, savedDirectory } from '../io/host/act';
import { failure, messageOf } from '../io/failures';
import { readHostFacts } from '../io/host/host-facts';
import { nodeFactsBoundMs, readNodeFacts } from '../io/sql/node-facts';
import { explainProgress, hasMoved, progressLookMs, readProgress, type RecoveryProgress } from '../io/host/standstill';
import type { Tools } from '../io/tools';

export interface StartInput {
  readonly configuration: ClusterConfiguration;
  readonly node: number;
  /** Without any progress; ten minutes unless given. */
  readonly patienceMs?: number;
}

export interface StartResult {
  readonly changed: boolean;
  readonly line: string;
}

const readMs = 2000;
/** The start command is given 20 s; the rest is for the lock. */
const startMs = 45_000;
const lookMs = 2000;
const longestPauseMs = 250;
/** As long as its recovery leads somewhere it is waited for. */
const standstillMs = 600_000;
/** Bounds one look at its host and its processes. */
const hostLookMs = readMs + progressLookMs;
/**
 * Bounds the time while nothing moves: sums a look, the start, the standstill, the time between two looks at its host, and the last of these
 * with the log.
 */
export const boundMs =
  nodeFactsBoundMs(readMs) +
  actBoundMs(startMs) +
  standstillMs +
  (Math.max(lookMs, hostLookMs) + longestPauseMs + nodeFactsBoundMs(readMs)) +
  (hostLookMs + readMs);

/** Where to find its messages. */
interface Begun {
  readonly changed: boolean;
  readonly log: string;
  readonly sizeBytes: string;
}

/**
 * @throws WorldChanged without standby.signal, or when it accepts writes; Unproven when it ended, refuses us, or stands still for
 * ten minutes; Unreachable
 */
export async function start(tools: Tools, input: StartInput): Promise<StartResult> {
  const { configuration } = input;
  const node = getNode(configuration, input.node);
  const line = `node ${node.id} is up and in recovery`;
  if (isUp(node, await readNodeFacts(tools.sql, configuration, node, readMs))) return { changed: false, line };
  const begun = await begin(tools, configuration, node);
  await confirmUp(tools, input, node, begun);
  return { changed: begun.changed, line };
}

function isUp({ id }: NodeConfiguration, facts: NodeFacts): boolean {
  if (facts.isInRecovery === false)
    throw failure('worldChanged', `node ${id} runs and accepts writes: it is no standby`);
  return facts.isInRecovery === true;
}

async function begin(tools: Tools, configuration: ClusterConfiguration, node: NodeConfiguration): Promise<Begun> {
  const { postgres } = configuration;
  const values = await mustAct(tools, {
    configuration,
    node,
    script: 'start',
    args: [
      node.dataDirectory,
      postgres.bin,
      serviceCommands(configuration, node).start,
      postgres.service.kind === 'pg_ctl' ? 'no' : 'yes',
      savedDirectory(configuration, node),
    ],
    timeoutMs: startMs,
    clockOffsetMs: 'measure',
    what: 'start PostgreSQL',
  });
  return {
    changed: values.get('state') === 'started',
    log: values.get('log') ?? '',
    sizeBytes: values.get('size') ?? '0',
  };
}

async function confirmUp(
  tools: Tools,
  { configuration, patienceMs = standstillMs }: StartInput,
  node: NodeConfiguration,
  begun: Begun,
): Promise<void> {
  let movedAt = Date.now();
  let lookedAt = Date.now();
  let last: RecoveryProgress | null = null;
  let seen = 'starting';
  for (let pauseMs = 20; ; pauseMs = Math.min(longestPauseMs, pauseMs * 1.5)) {
    tools.attempt.tell(seen);
    const facts = await readNodeFacts(tools.sql, configuration, node, readMs);
    if (isUp(node, facts)) return;
    const now = Date.now();
    seen = facts.sqlSeen;
    if (facts.sql === 'rejected') throw failure('unproven', `node ${node.id} runs but refuses the worker: ${seen}`);
    if (now - lookedAt > lookMs) {
      lookedAt = now;
      const host = await readHostFacts(tools, configuration, node, readMs);
      if (host.processes === 'none') throw await explainEnd(tools, configuration, node, begun);
      const progress = await readProgress(tools, configuration, node);
      if (hasMoved(last, progress) && (progress || facts.sql === 'recovering')) [last, movedAt] = [progress, now];
      if (now - movedAt > patienceMs) {
        const forSeconds = `for ${Math.round(patienceMs / 1000)} s`;
        const words = await readLog(tools, configuration, node, begun);
        throw failure(
          'unproven',
          `node ${node.id} runs, but takes no connections, and nothing has moved ${forSeconds}: ${seen}; ${explainProgress(progress)}. ${begun.log}: ${words}`,
        );
      }
    }
    await tools.attempt.sleep(pauseMs);
  }
}

/** The messages since it was started, without the refusals of our own looks; or why they cannot be read. */
async function readLog(
  tools: Tools,
  configuration: ClusterConfiguration,
  node: NodeConfiguration,
  begun: Begun,
): Promise<string> {
  const args = [begun.log, begun.sizeBytes];
  const said = await look(tools, { configuration, node, script: 'readLog', args, timeoutMs: readMs }).then(
    // A setting that is quoted there may hold a password.
    ({ values }) =>
      values
        .all('said')
        .filter((line) => !/the database system is|Consistent recovery state|Hot standby mode is disabled/.test(line))
        .join(' | ')
        .trim()
        .replaceAll(/(password\s*=\s*)('[^']*'|\S+)/gi, '$1…'),
    messageOf,
  );
  return said || 'nothing new';
}

async function explainEnd(
  tools: Tools,
  configuration: ClusterConfiguration,
  node: NodeConfiguration,
  begun: Begun,
): Promise<Error> {
  const said = await readLog(tools, configuration, node, begun);
  const { log } = serviceCommands(configuration, node);
  const places = [begun.log, ...(log ? [log] : [])].join(' and ');
  return failure('unproven', `node ${node.id} did not come up, no process of it is left. ${places}: ${said}`);
}
