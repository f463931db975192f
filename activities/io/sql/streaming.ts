// Proves that a standby streams from its primary, and explains it when it does not.

import { applicationNameOf } from '../../../domain/facts/application-name';
import { type ClusterConfiguration, getNode } from '../../../domain/facts/cluster';
import { compareLsn, formatLsn, parseLsn } from '../../../domain/facts/wal';
import { type NodeFacts, receivesFrom } from '../../../domain/facts/facts';
import { failure, messageOf } from '../failures';
import { nodeFactsBoundMs, readNodeFacts } from './node-facts';
import { readSetting } from './settings';
import { explainSlot, slotQueryMs } from './slots';
import { sqlTarget, type Tools } from '../tools';

export interface StreamingInput {
  readonly configuration: ClusterConfiguration;
  readonly node: number;
  readonly primary: number;
  /** The primary's. */
  readonly timeline: number;
}

const sqlMs = 2000;
const longestPauseMs = 250;

/** Bounds confirmStreaming() while nothing advances: sums a first look, the patience, a last look, and three queries that explain it. */
export function streamingBoundMs(patienceMs: number): number {
  const lookMs = nodeFactsBoundMs(sqlMs);
  return lookMs + patienceMs + longestPauseMs + lookMs + 2 * sqlMs + slotQueryMs;
}

/**
 * Both ends must say so: the standby's receiver names the primary and its timeline, the primary lists the standby as streaming.
 * A standby may have to replay or fetch much before: it is given up patienceMs after its position last advanced.
 * @throws WalMissing when the primary no longer has the WAL that it needs; Unproven
 */
export async function confirmStreaming(tools: Tools, input: StreamingInput, patienceMs: number): Promise<void> {
  const { configuration } = input;
  const node = getNode(configuration, input.node);
  const startedAt = Date.now();
  let giveUpAt = startedAt + patienceMs;
  let lsn = '';
  let seen = '';
  for (;;) {
    tools.attempt.tell(seen);
    const [facts, listing] = await Promise.all([
      readNodeFacts(tools.sql, configuration, node, sqlMs),
      readListing(tools, input),
    ]);
    const listed = findListed(listing, applicationNameOf(node, facts));
    if (isReceiving(facts, input) && listed.isStreaming) return;
    seen = `${describeReceiver(facts)}; ${listed.seen}`;
    const now = Date.now();
    // One that streams from elsewhere goes on for ever, and never becomes what is wanted.
    if (facts.position && compareLsn(facts.position.lsn, lsn) > 0 && !isReceivingElsewhere(facts, input)) {
      giveUpAt = now + patienceMs;
      lsn = facts.position.lsn;
    }
    if (now >= giveUpAt) return await giveUp(tools, input, facts, seen);
    await tools.attempt.sleep(Math.min(longestPauseMs, 10 + (now - startedAt) / 20));
  }
}

function isFromPrimary(facts: NodeFacts, { configuration, primary }: StreamingInput): boolean {
  return receivesFrom(facts, getNode(configuration, primary));
}

function isReceiving(facts: NodeFacts, input: StreamingInput): boolean {
  const { walReceiver } = facts;
  return walReceiver?.isStreaming === true && isFromPrimary(facts, input) && walReceiver.timeline === input.timeline;
}

function isReceivingElsewhere(facts: NodeFacts, input: StreamingInput): boolean {
  return facts.walReceiver?.isStreaming === true && !isFromPrimary(facts, input);
}

function describeReceiver({ sql, sqlSeen, walReceiver, isReplayPaused }: NodeFacts): string {
  if (sql !== 'answered') return sqlSeen;
  const paused = isReplayPaused ? ', replay paused' : '';
  if (!walReceiver) return `no WAL receiver${paused}`;
  return `receiver at ${String(walReceiver.host)}:${String(walReceiver.port)}, timeline ${String(walReceiver.timeline)}${paused}`;
}

interface Listing {
  readonly name: string;
  readonly rows: readonly { readonly application_name: string; readonly state: string }[];
  /** Why there are none; empty when the primary answered. */
  readonly problem: string;
}

async function readListing(tools: Tools, { configuration, primary }: StreamingInput): Promise<Listing> {
  const name = `node ${primary}`;
  try {
    const rows = await tools.sql.query<Listing['rows'][number]>(
      sqlTarget(configuration, getNode(configuration, primary)),
      'select application_name, state from pg_stat_replication',
      { timeoutMs: sqlMs },
    );
    return { name, rows, problem: '' };
  } catch (error) {
    return { name, rows: [], problem: messageOf(error) };
  }
}

function findListed(listing: Listing, applicationName: string): { isStreaming: boolean; seen: string } {
  const states = listing.rows.filter((row) => row.application_name === applicationName).map(({ state }) => state);
  const seen = states.length === 0 ? `does not list ${applicationName}` : `lists it as ${states.join(', ')}`;
  return { isStreaming: states.includes('streaming'), seen: listing.problem || `${listing.name} ${seen}` };
}

async function giveUp(tools: Tools, input: StreamingInput, facts: NodeFacts, seen: string): Promise<never> {
  const [name, source] = [`node ${input.node}`, `node ${input.primary}`];
  const missing = await findMissingWal(tools, input, facts);
  if (missing) {
    throw failure(
      'walMissing',
      `${name} cannot stream from ${source}: it needs WAL from ${facts.position!.lsn} on, and ${source}'s oldest WAL file is ${missing}: rebuild ${name}`,
    );
  }
  const slot = await explainOwnSlot(tools, input, facts);
  throw failure(
    'unproven',
    `${name} does not stream from ${source} on timeline ${input.timeline}: ${seen}; ${slot || 'its log says why'}`,
  );
}

async function explainOwnSlot(
  tools: Tools,
  { configuration, node: id, primary }: StreamingInput,
  facts: NodeFacts,
): Promise<string> {
  const node = getNode(configuration, id);
  const slot = await readSetting(tools, sqlTarget(configuration, node), 'primary_slot_name', sqlMs).catch(() => '');
  const input = { configuration, node: id, primary: getNode(configuration, primary), slot };
  return await explainSlot(tools, input, applicationNameOf(node, facts));
}

/**
 * The name of the primary's oldest WAL file, if that begins behind the standby's position. A receiver asks for the segment that
 * holds the byte after it (walreceiverfuncs.c); whichever timeline's file that is, so only the segment's number counts.
 */
async function findMissingWal(tools: Tools, input: StreamingInput, facts: NodeFacts): Promise<string | null> {
  const position = facts.position && parseLsn(facts.position.lsn);
  // With replay paused, it may have what it needs without showing it.
  if (position === null || facts.isReplayPaused) return null;
  const { configuration, primary } = input;
  const [row] = await tools.sql
    .query<{ oldest: string; is_missing: boolean }>(
      sqlTarget(configuration, getNode(configuration, primary)),
      `select name as oldest, substr(name, 9) > substr(pg_walfile_name($1::text::pg_lsn), 9) as is_missing
       from pg_ls_dir('pg_wal') name where length(name) = 24 order by substr(name, 9) limit 1`,
      { values: [formatLsn(position + 1n)], timeoutMs: sqlMs },
    )
    .catch(() => []);
  return row?.is_missing ? row.oldest : null;
}
