// Rules between keys of the cluster file. Each is skipped where one of its values is missing or already reported.

import { defaultApplicationName } from '../domain/facts/application-name';
import { findDebianCluster } from '../domain/texts/service';
import type { ClusterFile } from './schema';
import type { Path } from './yaml-lines';

/** A value with any part missing. */
export type Draft<T> = T extends readonly (infer Item)[]
  ? readonly (Draft<Item> | undefined)[]
  : T extends object
    ? { readonly [Key in keyof T]?: Draft<T[Key]> | undefined }
    : T;

type DraftNode = NonNullable<NonNullable<Draft<ClusterFile>['nodes']>[number]>;

type Report = (at: Path, sentence: string) => void;

interface Claim {
  readonly at: Path;
  /** Undefined claims nothing. */
  readonly value: string | undefined;
}

export function crossCheck(file: Draft<ClusterFile>, report: Report): void {
  checkNodes(file, report);
  checkSharedHosts(file, report);
  checkDirectories(file, report);
  checkTls(file, report);
  checkPgpool(file, report);
  checkPolicy(file, report);
}

function checkNodes({ nodes }: Draft<ClusterFile>, report: Report): void {
  if (!nodes) return;
  if (nodes.length < 2 || nodes.length > 16) {
    report(['nodes'], `must list 2 to 16 nodes (3 recommended), not ${nodes.length}`);
  }
  const claims = (key: string, read: (node: DraftNode) => string | undefined): Claim[] =>
    nodes.map((node, index) => ({ at: ['nodes', index, key], value: node && read(node) }));
  checkUnique(
    claims('id', ({ id }) => toText(id)),
    'give every node its own id',
    report,
  );
  checkUnique(
    claims('host', ({ host, port }) => join(host, port)),
    'give every node its own host and port',
    report,
  );
  // synchronous_standby_names matches without regard to case (PostgreSQL documentation, 20.6.2 Primary Server).
  const names = nodes.map((node, index) => {
    const isRepeatedId = nodes.findIndex((other) => other?.id === node?.id) < index;
    const ownName = node?.id === undefined || isRepeatedId ? undefined : defaultApplicationName(node.id);
    return { at: ['nodes', index, 'applicationName'], value: (node?.applicationName ?? ownName)?.toLowerCase() };
  });
  checkUnique(names, 'give every node its own applicationName (case does not matter)', report);
  checkUnique(
    claims('dataDirectory', ({ host, ssh, dataDirectory }) => join(ssh?.host ?? host, dataDirectory)),
    'two nodes on one host need two directories',
    report,
  );
}

/**
 * Two nodes on one host must not share a data directory or a service: a rename or a stop would hit both. Reported at
 * the later of the two.
 */
function checkSharedHosts({ nodes, postgres }: Draft<ClusterFile>, report: Report): void {
  const service = postgres?.service;
  const isGuessed = service === 'systemd' || service === 'pg_ctlcluster';
  const placed = (nodes ?? []).map((node) => ({ host: node?.ssh?.host ?? node?.host, path: node?.dataDirectory }));
  for (const [index, { host, path }] of placed.entries()) {
    if (host === undefined || path === undefined) continue;
    const at: Path = ['nodes', index, 'dataDirectory'];
    for (const [earlier, other] of placed.slice(0, index).entries()) {
      if (other.host !== host || other.path === undefined || other.path === path) continue;
      const owner = `nodes[${earlier}]`;
      if (isWithin(path, other.path) || isWithin(other.path, path))
        report(at, `and that of ${owner} (${other.path}) lie one in the other: give every node a directory of its own`);
      if (isGuessed && !haveOwnServices(path, other.path))
        report(
          at,
          `shares ${host} with ${owner}, and service: ${service} could take one for the other: both must end in /postgresql/<version>/<name>, and not in the same; or use service: commands`,
        );
    }
  }
}

/** Without own services the service's name comes from PG_VERSION, which both nodes may share. */
function haveOwnServices(left: string, right: string): boolean {
  const [one, other] = [findDebianCluster(left), findDebianCluster(right)];
  return one !== null && other !== null && (one.version !== other.version || one.name !== other.name);
}

function isWithin(path: string, directory: string): boolean {
  return `${path}/`.startsWith(`${directory}/`);
}

function checkTls({ postgres }: Draft<ClusterFile>, report: Report): void {
  const { sslMode, sslRootCertificate } = postgres ?? {};
  const isVerified = sslMode?.startsWith('verify');
  if (isVerified && sslRootCertificate === undefined)
    report(['postgres', 'sslMode'], `needs postgres.sslRootCertificate: without it nothing can be verified`);
  if (sslRootCertificate !== undefined && !isVerified && sslMode !== 'require')
    report(['postgres', 'sslRootCertificate'], 'has no effect without sslMode require, verify-ca or verify-full');
}

/** Checks that nothing a rebuild needs lies in the data directory, which the rebuild replaces. */
function checkDirectories({ nodes, paths }: Draft<ClusterFile>, report: Report): void {
  const dataDirectories = new Set(nodes?.map((node) => node?.dataDirectory));
  for (const key of ['savedConfiguration', 'jobs'] as const) {
    const path = paths?.[key];
    for (const directory of dataDirectories) {
      if (path === undefined || directory === undefined || !isWithin(path, directory)) continue;
      report(
        ['paths', key],
        `lies inside the data directory ${directory}: choose a directory outside, which survives a rebuild`,
      );
    }
  }
}

function checkPgpool({ pgpool }: Draft<ClusterFile>, report: Report): void {
  if (!pgpool) return;
  if (pgpool.length === 0) report(['pgpool'], 'must list at least one pgpool');
  checkUnique(
    pgpool.map((one, index) => ({ at: ['pgpool', index, 'name'], value: one?.name })),
    'give every pgpool its own name',
    report,
  );
  checkUnique(
    pgpool.map((one, index) => ({ at: ['pgpool', index, 'pcpPort'], value: join(one?.host, one?.pcpPort) })),
    'every pgpool has its own host and PCP port',
    report,
  );
}

function checkPolicy({ nodes, policy }: Draft<ClusterFile>, report: Report): void {
  const standbys = policy?.synchronous?.standbys;
  if (nodes && standbys !== undefined && standbys > 0 && standbys >= nodes.length) {
    const most = `at most ${nodes.length - 1}`;
    report(['policy', 'synchronous', 'standbys'], `must be less than the number of nodes: ${most}, not ${standbys}`);
  }
  const ladder = ['repoint', 'rebuild'];
  const follow = policy?.follow;
  const isInOrder = follow?.every((rung, index) => index === 0 || compareRungs(ladder, follow[index - 1], rung) < 0);
  if (follow?.length === 0 || isInOrder === false) {
    report(['policy', 'follow'], 'must name at least one of repoint, rebuild, each once and in this order');
  }
  const program = policy?.fenceCommand?.[0];
  if (program !== undefined && !/^\/[^/]/.test(program)) {
    report(['policy', 'fenceCommand', 0], 'must be the absolute path of a program, such as /usr/local/bin/fence');
  }
}

/** Negative when `left` comes before `right`; an unreadable rung has its own problem and counts as in order. */
function compareRungs(ladder: readonly string[], left: string | undefined, right: string | undefined): number {
  return left === undefined || right === undefined ? -1 : ladder.indexOf(left) - ladder.indexOf(right);
}

function checkUnique(claims: readonly Claim[], advice: string, report: Report): void {
  const first = new Map<string, Path>();
  for (const { at, value } of claims) {
    if (value === undefined) continue;
    const owner = first.get(value);
    if (owner) report(at, `repeats ${value}, which ${String(owner[0])}[${String(owner[1])}] already has: ${advice}`);
    else first.set(value, at);
  }
}

function toText(value: number | undefined): string | undefined {
  return value === undefined ? undefined : String(value);
}

/** `a:b`, or undefined unless both are known. */
function join(left: string | undefined, right: string | number | undefined): string | undefined {
  return left === undefined || right === undefined ? undefined : `${left}:${right}`;
}
