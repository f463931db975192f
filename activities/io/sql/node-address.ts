// One spelling for each node's host: a standby's primary_conninfo may name it by another name or address than the cluster file does.

import { lookup } from 'node:dns/promises';
import type { ClusterConfiguration } from '../../../domain/facts/cluster';

/** A look does not wait longer for a name server; what it says later counts for the next look. */
export const spellMs = 100;
const freshMs = 60_000;

/** Empty when the name was never known: a name server that is away takes nothing back. */
interface Resolved {
  readonly at: number;
  readonly addresses: Promise<readonly string[]>;
}

const resolved = new Map<string, Resolved>();

/**
 * The host of the node at this address, as the cluster file spells it; the host as it is when no node has it. Null ports match every node's.
 * Never throws: a name that does not resolve belongs to nobody.
 */
export async function spellHost(
  { nodes }: Pick<ClusterConfiguration, 'nodes'>,
  host: string,
  port: number | null,
): Promise<string> {
  const possible = nodes.filter((node) => port === null || node.port === port);
  if (possible.some((node) => node.host === host)) return host;
  const [own, ...theirs] = await Promise.all(
    [host, ...possible.map((node) => node.host)].map((name) => soon(resolve(name))),
  );
  const index = theirs.findIndex((addresses) => addresses.some((address) => own!.includes(address)));
  return possible[index]?.host ?? host;
}

function resolve(host: string): Promise<readonly string[]> {
  const known = resolved.get(host);
  if (known && Date.now() - known.at < freshMs) return known.addresses;
  const addresses = lookup(host, { all: true }).then(
    (found) => found.map(({ address }) => address),
    () => known?.addresses ?? [],
  );
  resolved.set(host, { at: Date.now(), addresses });
  return addresses;
}

async function soon(answer: Promise<readonly string[]>): Promise<readonly string[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<readonly string[]>((settle) => {
    timer = setTimeout(() => {
      settle([]);
    }, spellMs);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
