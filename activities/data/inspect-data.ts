// The facts that a rebuild needs before it plans: the target's directories, links, owner and room; the primary's sizes and tablespaces.

import { type ClusterConfiguration, getNode, type NodeConfiguration } from '../../domain/facts/cluster';
import type { DataFacts, LinkedDirectory, PlaceFacts, SourceTablespace } from '../../domain/facts/data-directory';
import { mustLook, savedDirectory } from '../io/host/act';
import type { Values } from '../io/host/answer';
import type { ScriptName } from '../io/host/scripts';
import { failure, messageOf } from '../io/failures';
import { parseHostFacts } from '../io/host/host-facts';
import { nodeFactsBoundMs, readNodeFacts } from '../io/sql/node-facts';
import { goodbyeMs } from '../io/sql/postgres';
import { linksFile } from '../io/host/rebuild-acts';
import { sqlTarget, type Tools } from '../io/tools';

export interface InspectDataInput {
  readonly configuration: ClusterConfiguration;
  readonly node: number;
  readonly primary: number;
}

export interface InspectDataResult {
  readonly changed: false;
  readonly line: string;
  readonly facts: DataFacts;
}

const sqlMs = 2000;
/** The sizes of a million files take a while, on either side. Both together are shorter than the activity's 2 minutes. */
const sizesMs = 45_000;
const lookMs = 70_000;
/** Sums the primary's answer, its sizes with the end of their own connection, and the look at both hosts at once. */
export const boundMs = nodeFactsBoundMs(sqlMs) + sizesMs + goodbyeMs + lookMs;

/**
 * Reads only, and takes no lock.
 * @throws Unreachable when the primary does not answer, over SQL and over ssh, or the node over ssh; Unproven when the look fails
 */
export async function inspectData(tools: Tools, input: InspectDataInput): Promise<InspectDataResult> {
  const { configuration } = input;
  const [node, primary] = [getNode(configuration, input.node), getNode(configuration, input.primary)];
  const source = await readSource(tools, configuration, primary);
  const locations = source.tablespaces.map((tablespace) => tablespace.location);
  const [values, identity] = await Promise.all([
    look(tools, configuration, node, 'inspectData', [
      ...[node.dataDirectory, configuration.postgres.bin, savedDirectory(configuration, node)],
      ...[linksFile(configuration, node), source.version],
      ...source.tablespaces.flatMap(({ oid, location }) => [oid, location]),
    ]),
    look(tools, configuration, primary, 'identify', [primary.dataDirectory, ...locations]),
  ]);
  const facts = { ...parseAnswer(values, identity), source };
  return { changed: false, line: describe(node, facts), facts };
}

async function look(
  tools: Tools,
  configuration: ClusterConfiguration,
  node: NodeConfiguration,
  script: ScriptName,
  args: string[],
): Promise<Values> {
  return await mustLook(tools, { configuration, node, script, args, timeoutMs: lookMs, what: 'look at its data' });
}

interface Sizes {
  version: number;
  bytes: string;
  wal_bytes: string;
  tablespaces: SourceTablespace[];
}

// A tablespace in place (allow_in_place_tablespaces) has a relative location and lies in the data directory. What a stuck slot
// or archive holds back of the WAL is not copied; what max_wal_size allows may come to lie there.
const sizesText = `
select current_setting('server_version_num')::int / 10000 as version,
  (select sum(pg_tablespace_size(oid)) from pg_tablespace where pg_tablespace_location(oid) not like '/%')::text as bytes,
  least((select sum(size) from pg_ls_waldir()), pg_size_bytes(current_setting('max_wal_size')))::text as wal_bytes,
  (select coalesce(json_agg(json_build_object('oid', oid::text, 'location', pg_tablespace_location(oid),
     'bytes', pg_tablespace_size(oid)) order by oid), '[]')
   from pg_tablespace where pg_tablespace_location(oid) like '/%') as tablespaces`;

async function readSource(
  tools: Tools,
  configuration: ClusterConfiguration,
  primary: NodeConfiguration,
): Promise<DataFacts['source']> {
  const away = (seen: string, cause?: unknown): Error =>
    failure('unreachable', `node ${primary.id}, the primary, does not tell what a copy needs: ${seen}`, cause);
  const facts = await readNodeFacts(tools.sql, configuration, primary, sqlMs);
  if (facts.sql !== 'answered' || facts.systemIdentifier === null || facts.position === null) throw away(facts.sqlSeen);
  try {
    const [row] = await tools.sql.query<Sizes>(sqlTarget(configuration, primary), sizesText, {
      timeoutMs: sizesMs,
      lane: 'long',
    });
    return {
      version: String(row!.version),
      systemIdentifier: facts.systemIdentifier,
      timeline: facts.position.timeline,
      isInRecovery: facts.isInRecovery !== false,
      bytes: Number(row!.bytes),
      walBytes: Number(row!.wal_bytes),
      tablespaces: row!.tablespaces,
    };
  } catch (error) {
    throw away(messageOf(error), error);
  }
}

interface ParsedPlace {
  readonly role: string;
  readonly link: string;
  readonly path: string;
  readonly facts: PlaceFacts;
}

function parseAnswer(values: Values, identity: Values): Omit<DataFacts, 'source'> {
  const read = (key: string): string | null => values.get(key)?.trim() || null;
  const machine = read('machine');
  const isOneMachine = machine !== null && machine === identity.get('machine');
  const primarys = isOneMachine ? identity.all('primary') : [];
  const count = Number(read('places'));
  const places = Array.from({ length: count }, (_, index) =>
    parsePlace(values.startingWith(`place${index + 1}_`), primarys),
  );
  const data = places.find((place) => place.role === 'data')!;
  const withRole = (role: string): LinkedDirectory[] =>
    places
      .filter((place) => place.role === role)
      .map(({ link, path, facts }) => ({ ...facts, kind: link === 'pg_wal' ? 'wal' : 'tablespace', link, path }));
  const [identifier, state, timeline] = [read('own_identifier'), read('own_state'), read('own_timeline')];
  return {
    ...data.facts,
    realPath: read('real'),
    version: read('version'),
    isUnfinished: values.flag('unfinished') === true,
    host: { ...parseHostFacts(values, Date.now()), ...processesOf(data.facts, values.flag('deleted') === true) },
    hasControlFile: values.flag('control') === true,
    own:
      identifier && state && timeline
        ? {
            systemIdentifier: identifier,
            state: values.flag('copied') ? 'copied' : state,
            timeline: Math.max(Number(timeline), Number.parseInt(read('wal') ?? '0', 16)),
          }
        : null,
    rebuildMark: read('mark'),
    linked: withRole('linked'),
    missing: withRole('missing'),
  };
}

/** Where nothing exists, the look could not look; a directory that was removed under a running server still has its processes. */
function processesOf({ exists }: PlaceFacts, isDeleted: boolean): { processes?: 'orphans' | 'none' } {
  return exists ? {} : { processes: isDeleted ? 'orphans' : 'none' };
}

/** The keys of one place, as the script prints them. */
function parsePlace(place: ReadonlyMap<string, string>, primarys: readonly string[]): ParsedPlace {
  const read = (key: string): string | null => place.get(key) || null;
  const number = (key: string): number | null => (read(key) === null ? null : Number(read(key)));
  const used = number('used_kilobytes');
  const id = read('id');
  const facts = {
    exists: read('exists') === 'yes',
    isEmpty: read('empty') === 'yes',
    isOwned: read('owned') === 'yes',
    isMountPoint: read('mount') === 'yes',
    isRenamable: read('renamable') === 'yes',
    isPrimarys: id !== null && primarys.includes(id),
    device: read('device'),
    freeBytes: number('free_bytes'),
    usedBytes: used === null ? null : used * 1024,
    leftoverBytes: (number('leftover_kilobytes') ?? 0) * 1024,
    stranger: read('stranger'),
  };
  return { role: read('role') ?? '', link: read('link') ?? '', path: read('path') ?? '', facts };
}

function describe(node: NodeConfiguration, { exists, version, linked, rebuildMark, source }: DataFacts): string {
  const what = !exists
    ? 'does not exist'
    : rebuildMark
      ? `is the unfinished copy of rebuild ${rebuildMark}`
      : version
        ? `holds data of PostgreSQL ${version}`
        : 'holds no PG_VERSION';
  const links = linked.length === 0 ? '' : `, linked to ${linked.map(({ path }) => path).join(', ')}`;
  return `node ${node.id}: ${node.dataDirectory} ${what}${links}; the primary is PostgreSQL ${source.version}`;
}
