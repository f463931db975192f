// The directories that a rebuild replaces, and whether each may be replaced and has room: pure, from what inspectData
// measured.

import { type ClusterConfiguration, getNode } from '../facts/cluster';
import type { ReasonCode } from '../facts/reasons';
import {
  asidePath,
  type DataFacts,
  describeBytes,
  freshSuffix,
  type PlaceFacts,
  type RebuildDirectory,
} from '../facts/data-directory';

export interface Refusal {
  readonly action: 'refuse';
  readonly reason: ReasonCode;
  readonly line: string;
}

/** One directory of the plan, with the room that its copy needs. */
export interface Place extends PlaceFacts {
  readonly directory: RebuildDirectory;
  readonly neededBytes: number;
  /** The data directory, or a directory that a link of the target leads to: its contents belong to the target. */
  readonly isKnown: boolean;
}

/** The data directory first. */
export function listPlaces(
  configuration: ClusterConfiguration,
  request: { readonly node: number; readonly rebuildId: string },
  data: DataFacts,
  isRemovedFirst: boolean,
): Place[] {
  const wal = data.linked.find((linked) => linked.kind === 'wal');
  const make = (
    kind: RebuildDirectory['kind'],
    current: string,
    { link = null, sourceLocation = null }: { link?: string | null; sourceLocation?: string | null } = {},
  ): RebuildDirectory => ({
    ...{ kind, link, sourceLocation, current },
    fresh: isRemovedFirst ? current : `${current}${freshSuffix}`,
    aside: asidePath(current, request.rebuildId),
  });
  const { dataDirectory } = getNode(configuration, request.node);
  const { bytes, walBytes, tablespaces } = data.source;
  const places: Place[] = [
    { ...data, directory: make('data', dataDirectory), neededBytes: bytes + (wal ? 0 : walBytes), isKnown: true },
  ];
  if (wal)
    places.push({ ...wal, directory: make('wal', wal.path, { link: wal.link }), neededBytes: walBytes, isKnown: true });
  for (const { oid, location, bytes: neededBytes } of tablespaces) {
    const isTablespace = (entry: { link: string; kind: string }): boolean =>
      entry.kind === 'tablespace' && entry.link === oid;
    const linked = data.linked.find(isTablespace);
    const place = linked ?? data.missing.find(isTablespace);
    if (!place) throw new RangeError(`tablespace ${oid} was not looked for on node ${request.node}`);
    const directory = make('tablespace', place.path, { link: oid, sourceLocation: location });
    places.push({ ...place, directory, neededBytes, isKnown: linked !== undefined });
  }
  return places;
}

/** Control characters, quotes and backslashes are read differently by shells, by pg_basebackup and by people. */
const oddCharacters = /[\p{Cc}'"`\\]/u;

export function checkPaths(name: string, places: readonly Place[]): Refusal | null {
  const paths = places.flatMap(({ directory }) => [directory.current, directory.sourceLocation ?? '/']);
  const odd = paths.find((path) => !path.startsWith('/') || oddCharacters.test(path));
  if (odd !== undefined)
    return refuse(
      'data-not-replaceable',
      `${name}: the path ${JSON.stringify(odd)} has a quote, a backslash or a control character: rename it, then decide again`,
    );
  const currents = places.map((place) => place.directory.current);
  const inner = currents.find((path, index) =>
    currents.some((other, at) => at !== index && `${path}/`.startsWith(`${other}/`)),
  );
  if (inner === undefined) return null;
  return refuse(
    'data-not-replaceable',
    `${name}: ${inner} lies in another directory of the same node that is replaced, too: move it out, then decide again`,
  );
}

export function checkContents(name: string, places: readonly Place[]): Refusal | null {
  for (const { directory, exists, isEmpty, isOwned, isKnown, isPrimarys, stranger } of places) {
    const no = (why: string): Refusal => refuse('data-not-replaceable', `${name}: ${directory.current} ${why}`);
    if (isPrimarys)
      return no('is in use by the primary, which runs on the same machine: give this node a directory of its own');
    if (stranger !== null)
      return no(`holds ${stranger}, which is not PostgreSQL's own or is a mount point: move it out, then decide again`);
    if (exists && !isOwned) return no('does not belong to the ssh user: correct the owner');
    if (exists && !isEmpty && !isKnown)
      return no(
        `is where tablespace ${directory.link ?? ''} belongs, is not empty, and no link of this node leads there: empty it, or link pg_tblspc/${directory.link ?? ''} of this node to a directory of its own`,
      );
  }
  return null;
}

const marginBytes = 256 * 1024 * 1024;

export function checkRoom(name: string, places: readonly Place[], isRemovedFirst: boolean): Refusal | null {
  const [reason, advice] = isRemovedFirst
    ? (['data-not-replaceable', 'make room, then decide again'] as const)
    : ([
        'rebuild-needs-removeFirst',
        'make that possible, or set policy.replacedData: removeFirst, which removes the old data before the copy is made',
      ] as const);
  const fixed = places.find(({ exists, isMountPoint, isRenamable }) =>
    isRemovedFirst ? !exists && !isRenamable : !isRenamable || isMountPoint,
  );
  if (fixed) {
    const why = fixed.isMountPoint ? 'is a mount point' : 'has a parent directory in which the ssh user cannot write';
    return refuse(reason, `${name}: ${fixed.directory.current} ${why}, so no copy can be put in its place: ${advice}`);
  }
  for (const device of new Set(places.map((place) => place.device))) {
    const shared = places.filter((place) => place.device === device);
    const sum = (read: (place: Place) => number): number => shared.reduce((total, place) => total + read(place), 0);
    const needed = sum((place) => place.neededBytes) * (isRemovedFirst ? 1 : 1.05) + (isRemovedFirst ? 0 : marginBytes);
    const free = Math.min(...shared.map((place) => place.freeBytes ?? 0));
    const room = free + sum((place) => place.leftoverBytes + (isRemovedFirst ? (place.usedBytes ?? 0) : 0));
    if (room >= needed) continue;
    const where = shared.map((place) => place.directory.current).join(', ');
    return refuse(
      reason,
      `${name}: the copy needs ${describeBytes(needed)} on the filesystem of ${where}, which has ${describeBytes(room)}: ${advice}`,
    );
  }
  return null;
}

export function refuse(reason: ReasonCode, line: string): Refusal {
  return { action: 'refuse', reason, line };
}
