// What a person is doing on purpose: a node that is to be left alone, or a cluster in which no promotion is to be made.

export interface Maintenance {
  /** Null = a pause of the whole cluster. */
  readonly node: number | null;
  /** user@host. */
  readonly operator: string;
  readonly reason: string;
  /** ISO time. */
  readonly since: string;
  /** ISO time; null = until somebody stops it. */
  readonly until: string | null;
}

/** Those that have not expired at this time (ISO). */
export function inForce(maintenance: readonly Maintenance[], at: string): Maintenance[] {
  return maintenance.filter(({ until }) => until === null || Date.parse(until) > Date.parse(at));
}

/** The list with this one; one of the same node, or of the cluster, is replaced. */
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

/** Empty for anything but a list of them: a memo may have been written by another version, or by hand. */
export function parseMaintenance(value: unknown): Maintenance[] {
  if (!Array.isArray(value)) return [];
  return value.filter((entry: unknown): entry is Maintenance => {
    const { node, operator, reason, since, until } = (entry ?? {}) as Partial<Maintenance>;
    const isText = [operator, reason, since].every((text) => typeof text === 'string');
    return isText && (node === null || Number.isInteger(node)) && (until === null || typeof until === 'string');
  });
}
