// Maintenance: a person asks that a node is left alone, or that no failover is made in a cluster.

export interface Maintenance {
  /** Null = a pause of the whole cluster. */
  readonly node: number | null;
  /** user@host. */
  readonly operator: string;
  readonly reason: string;
  /** ISO time. */
  readonly since: string;
  /** ISO time; null = until a person stops it. */
  readonly until: string | null;
}

/** The entries that have not expired at this time (ISO). */
export function inForce(maintenance: readonly Maintenance[], at: string): Maintenance[] {
  return maintenance.filter(({ until }) => until === null || Date.parse(until) > Date.parse(at));
}

/** The list with this entry in place of an earlier one for the same node or cluster. */
export function startMaintenance(maintenance: readonly Maintenance[], started: Maintenance): Maintenance[] {
  return [...stopMaintenance(maintenance, started.node), started];
}

export function stopMaintenance(maintenance: readonly Maintenance[], node: number | null): Maintenance[] {
  return maintenance.filter((entry) => entry.node !== node);
}

/** "by ann@db since TIME until TIME: reason". */
export function describeMaintenance({ operator, reason, since, until }: Maintenance): string {
  return `by ${operator} since ${since}${until === null ? '' : ` until ${until}`}: ${reason}`;
}

/** Empty for malformed input: a memo may come from another version, or be written by hand. */
export function parseMaintenance(value: unknown): Maintenance[] {
  if (!Array.isArray(value)) return [];
  return value.filter((entry: unknown): entry is Maintenance => {
    const { node, operator, reason, since, until } = (entry ?? {}) as Partial<Maintenance>;
    const isText = [operator, reason, since].every((text) => typeof text === 'string');
    return isText && (node === null || Number.isInteger(node)) && (until === null || typeof until === 'string');
  });
}
