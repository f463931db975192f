// Plans the rebuild of a node, or says which guard forbids it: pure, from facts.

import { type ClusterConfiguration, findNode, getNode } from '../facts/cluster';
import { describeMissing } from './follow';
import { type DataFacts, describeBytes, rebuildIdPattern, type RebuildPlan } from '../facts/data-directory';
import { checkContents, checkPaths, checkRoom, listPlaces, refuse, type Refusal } from './rebuild-places';
import { factsOf, type Facts, writableNodes } from '../facts/facts';

export interface RebuildRequest {
  readonly node: number;
  readonly primary: number;
  /** Matches rebuildIdPattern. */
  readonly rebuildId: string;
  /** The caller's knowledge beyond `data`; unknown counts as "was the primary", which has the stricter rules. */
  readonly isFormerPrimary?: boolean | null;
  readonly ownTimeline?: number | null;
}

export type RebuildDecision =
  { readonly action: 'rebuild'; readonly plan: RebuildPlan; readonly line: string } | Refusal;

interface Case {
  readonly configuration: ClusterConfiguration;
  readonly request: RebuildRequest;
  readonly facts: Facts;
  readonly data: DataFacts;
  /** Names for sentences: "node 1" and "node 0". */
  readonly name: string;
  readonly source: string;
}

/** The same input gives the same plan, also when this rebuild's copy is already in place. */
export function planRebuild(
  configuration: ClusterConfiguration,
  request: RebuildRequest,
  facts: Facts,
  data: DataFacts,
): RebuildDecision {
  if (!rebuildIdPattern.test(request.rebuildId)) throw new RangeError(`not a rebuild's id: ${request.rebuildId}`);
  const [name, source] = [`node ${request.node}`, `node ${request.primary}`];
  const subject: Case = { configuration, request, facts, data, name, source };
  const refusal = checkRoles(subject) ?? checkLineage(subject) ?? checkDirectory(subject);
  if (refusal) return refusal;
  const isRemovedFirst = configuration.policy.replacedData === 'removeFirst';
  const places = listPlaces(configuration, request, data, isRemovedFirst);
  const isPlaced = data.rebuildMark === request.rebuildId;
  const problem =
    checkPaths(name, places) ??
    (isPlaced ? null : (checkContents(name, places) ?? checkRoom(name, places, isRemovedFirst)));
  if (problem) return problem;
  const mode = isRemovedFirst ? 'removeFirst' : 'sibling';
  const bytes = describeBytes(places.reduce((sum, place) => sum + place.neededBytes, 0));
  const how = isRemovedFirst ? 'after its own data is removed' : 'beside its own data';
  return {
    action: 'rebuild',
    plan: { rebuildId: request.rebuildId, mode, directories: places.map((place) => place.directory) },
    line: `${name} is rebuilt from ${source}: about ${bytes} ${how}${nameUnneeded(data)}`,
  };
}

function checkRoles({ configuration, request, facts, data, name, source }: Case): Refusal | null {
  const { node, primary } = request;
  if (!findNode(configuration, node))
    return refuse('node-not-configured', `${name} is not in the cluster file of ${configuration.cluster}`);
  if (node === primary) return refuse('node-not-standby', `${name} is the primary itself: its data is never replaced`);
  if (!configuration.policy.follow.includes('rebuild'))
    return refuse(
      'diverged',
      `${name} must be rebuilt, and policy.follow does not allow it: add rebuild, or rebuild it by hand`,
    );
  const writable = writableNodes(facts).map((entry) => entry.node);
  if (!writable.includes(primary) || data.source.isInRecovery)
    return refuse(
      'primary-missing',
      `${describeMissing(source, factsOf(facts, primary))}; nothing can be copied from it`,
    );
  if (writable.length > 1)
    return refuse(
      'two-primaries',
      `nodes ${writable.join(' and ')} accept writes: stop the wrong one, then ${name} can be rebuilt`,
    );
  return null;
}

function checkLineage({ configuration, request, facts, data, name, source }: Case): Refusal | null {
  const { own, source: from, hasControlFile } = data;
  const answer = factsOf(facts, request.node);
  if (hasControlFile && !own)
    return refuse(
      'data-not-replaceable',
      `${name}: global/pg_control cannot be read, so it is unknown whose data it is: if it is this node's, rename that file and decide again`,
    );
  const identifiers = [
    own?.systemIdentifier,
    answer?.systemIdentifier,
    factsOf(facts, request.primary)?.systemIdentifier,
  ];
  const foreign = identifiers.find((identifier) => identifier && identifier !== from.systemIdentifier);
  if (foreign)
    return refuse(
      'other-system',
      `${name} belongs to another cluster than ${source} (system identifiers ${foreign} and ${from.systemIdentifier}): correct the cluster file, or move that data away yourself`,
    );
  if (data.version !== null && data.version !== from.version)
    return refuse(
      'data-not-replaceable',
      `${name} holds data of PostgreSQL ${data.version}, ${source} runs ${from.version}: move that data away yourself`,
    );
  const timeline = Math.max(request.ownTimeline ?? 0, own?.timeline ?? 0, answer?.position?.timeline ?? 0);
  const isFormerPrimary = request.isFormerPrimary ?? (answer?.isInRecovery === true ? false : wasPrimary(own?.state));
  // A primary succeeds another only by a promotion, which opens a newer timeline.
  const needsPromotion = isFormerPrimary === true || (isFormerPrimary === null && timeline > 0);
  if (needsPromotion ? from.timeline <= Math.max(1, timeline) : from.timeline < timeline)
    return refuse(
      'diverged-branches',
      `${name} is on ${timeline > 0 ? `timeline ${timeline}` : 'an unknown timeline'}, ${source} on ${from.timeline}: it has not succeeded ${name}; find out which of them is right. If ${source} is: stop ${name}, move its data directory away (${moveAway(configuration, request)}), then retry`,
    );
  return null;
}

/** The advice to move the data away: without it nothing is left to compare. */
function moveAway(configuration: ClusterConfiguration, { node }: RebuildRequest): string {
  const { dataDirectory } = getNode(configuration, node);
  return `mv ${dataDirectory} ${dataDirectory}.other-branch`;
}

/** Null when the control file does not say. */
function wasPrimary(state: string | undefined): boolean | null {
  return state === undefined ? null : !/shut down in recovery|in archive recovery|^copied$/.test(state);
}

/** Checks the data directory: it must be the configured one, PostgreSQL's, and ours. */
function checkDirectory({ configuration, request, data, name }: Case): Refusal | null {
  const { dataDirectory } = getNode(configuration, request.node);
  const no = (why: string): Refusal => refuse('data-not-replaceable', `${name}: ${dataDirectory} ${why}`);
  if (data.realPath === null)
    return no('cannot be made, its parent directory does not exist: mount or create that, then decide again');
  if (data.realPath !== dataDirectory)
    return no(`is really ${data.realPath}: write that path into the cluster file (and the service), then decide again`);
  if (data.realPath === '/') return no('is no data directory');
  if (!data.exists) return null;
  if (!data.isOwned) return no('does not belong to the ssh user: correct ssh.user or the owner');
  if (!data.isEmpty && data.version === null && !data.isUnfinished)
    return no(
      'is not empty and holds no PG_VERSION: it is no data directory; look what it is, and move it away yourself',
    );
  if (data.host.processes === 'unknown') return no(`may be in use: ${data.host.seen}`);
  // The server that answers over SQL may be another one than the host that ssh has reached.
  if (data.host.processes === 'running' && data.own?.state === 'in production')
    return no('is in use by a server that accepts writes: if this node is a standby, correct its ssh.host');
  return null;
}

function nameUnneeded({ linked, source }: DataFacts): string {
  const isUnneeded = (oid: string): boolean => !source.tablespaces.some((tablespace) => tablespace.oid === oid);
  const paths = linked.filter(({ kind, link }) => kind === 'tablespace' && isUnneeded(link)).map(({ path }) => path);
  return paths.length === 0 ? '' : `; the primary has no tablespace for ${paths.join(', ')}, which is left as it is`;
}
