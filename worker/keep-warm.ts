// Keeps one connection of each kind open to every node, tries the other ways that a failover needs from time to time,
// and says when a way stops working and when it works again.

import { messageOf } from '../activities/io/failures';
import { probeFrom } from '../activities/io/host/host-facts';
import { PcpFailure } from '../activities/io/pcp/pcp';
import { refusalPauseMs } from '../activities/io/refusals';
import { SqlFailure } from '../activities/io/sql/postgres';
import { SshFailure } from '../activities/io/ssh/ssh';
import { sqlTarget, sshTarget, type WorkerTools } from '../activities/io/tools';
import type { ClusterConfiguration, NodeConfiguration } from '../domain/facts/cluster';
import type { ClusterFile } from './tools';

const warmEveryMs = 2000;
const warmTimeoutMs = 2000;
/** Interval for ways that cost more than a round trip: a psql on a standby's host, and lines in pgpool's log. */
const seldomMs = 300_000;
const probeMs = 5000;

/**
 * isRefusal: asking again without a change is refused again. isPassing: not told, because the next look opens a new
 * connection or another way's failure says more.
 */
interface Trouble {
  readonly kind: string;
  readonly message: string;
  readonly isRefusal: boolean;
  readonly isPassing: boolean;
}

/** One way to one node. */
class Way {
  private isBusy = false;
  private isFirst = true;
  private refusals = 0;
  private nextAt = 0;
  private kind: string | null = null;

  constructor(
    private readonly name: string,
    private readonly open: () => Promise<unknown>,
    private readonly say: (line: string) => void,
    private readonly everyMs = 0,
  ) {}

  get isWell(): boolean {
    return this.kind === null;
  }

  async tryNow(): Promise<void> {
    if (this.isBusy || Date.now() < this.nextAt) return;
    this.isBusy = true;
    try {
      this.note(await this.look());
    } finally {
      this.isBusy = false;
    }
  }

  private async look(): Promise<Trouble | null> {
    try {
      await this.open();
      return null;
    } catch (error) {
      return describe(error);
    }
  }

  private note(trouble: Trouble | null): void {
    this.refusals = trouble?.isRefusal ? this.refusals + 1 : 0;
    this.nextAt = Date.now() + Math.max(refusalPauseMs(this.refusals), this.everyMs);
    if (trouble?.isPassing) return;
    const kind = trouble?.kind ?? null;
    // first-look.ts tells of the first try of every way, at the worker's start.
    if (!this.isFirst && kind !== this.kind)
      this.say(trouble ? `warning: ${this.name}: ${trouble.message}` : `${this.name}: works again`);
    this.isFirst = false;
    this.kind = kind;
  }
}

/** A way that depends on another one, or whose trouble has no failure of its own. */
class Broken extends Error {
  constructor(
    readonly kind: string,
    message: string,
    readonly isPassing = false,
  ) {
    super(message);
  }
}

function describe(error: unknown): Trouble {
  const message = messageOf(error);
  if (error instanceof Broken) return { kind: error.kind, message, isRefusal: false, isPassing: error.isPassing };
  if (error instanceof PcpFailure)
    return { kind: error.kind, message, isRefusal: !error.isRetryable, isPassing: error.kind === 'lost' };
  if (error instanceof SqlFailure)
    return { kind: error.kind, message, isRefusal: error.kind === 'rejected', isPassing: error.kind === 'lost' };
  if (error instanceof SshFailure) {
    const isRefusal = ['authentication', 'host-key', 'identity-file', 'known-hosts-file', 'protocol'];
    return { kind: error.kind, message, isRefusal: isRefusal.includes(error.kind), isPassing: error.kind === 'lost' };
  }
  return { kind: 'other', message, isRefusal: true, isPassing: false };
}

/** Returns a function that stops it. No line holds a secret: the messages are the failures' own. */
export function keepWarm(tools: WorkerTools, files: readonly ClusterFile[], say: (line: string) => void): () => void {
  const ways = files.flatMap(({ configuration }) => [
    ...configuration.nodes.flatMap((node) => waysTo(tools, configuration, node, say)),
    ...configuration.pgpool.map((pgpool) => {
      const ask = () => tools.pcp.readNodeInfo(pgpool, configuration.nodes[0]!.id, { timeoutMs: probeMs });
      return new Way(`${configuration.cluster}, pgpool ${pgpool.name}, PCP`, ask, say, seldomMs);
    }),
  ]);
  const warm = (): void => {
    for (const way of ways) void way.tryNow();
  };
  warm();
  const timer = setInterval(warm, warmEveryMs);
  return () => {
    clearInterval(timer);
  };
}

function waysTo(
  tools: WorkerTools,
  configuration: ClusterConfiguration,
  node: NodeConfiguration,
  say: (line: string) => void,
): Way[] {
  const name = `${configuration.cluster}, node ${node.id}`;
  const sql = sqlTarget(configuration, node);
  const ssh = new Way(`${name}, ssh`, () => tools.ssh.open(sshTarget(configuration, node)), say);
  const probe = (): Promise<void> => probePrimary(tools, configuration, node, ssh.isWell);
  return [
    new Way(`${name}, SQL`, () => tools.sql.query(sql, 'select 1', { timeoutMs: warmTimeoutMs }), say),
    ssh,
    new Way(`${name}, psql from its host`, probe, say, seldomMs),
  ];
}

/** Asks the primary from each standby's host, with that host's own password file, as a failover does. @throws Broken */
async function probePrimary(
  tools: WorkerTools,
  configuration: ClusterConfiguration,
  from: NodeConfiguration,
  isReachable: boolean,
): Promise<void> {
  const others = configuration.nodes.filter((node) => node !== from);
  const primary = (await Promise.all(others.map((node) => findWritable(tools, configuration, node)))).find(Boolean);
  // Do not offer a refused key again for this.
  if (!primary || !isReachable)
    throw new Broken('other', 'no primary is known, or the host of the standby is not reached', true);
  const { answer, seen } = await probeFrom(tools, configuration, from, primary, probeMs);
  if (answer === 'answered') return;
  const advice = `check ${configuration.postgres.passFile} there and pg_hba.conf of node ${primary.id}`;
  throw new Broken(answer, `to node ${primary.id}, the primary: ${seen || answer}; ${advice}`);
}

async function findWritable(
  tools: WorkerTools,
  configuration: ClusterConfiguration,
  node: NodeConfiguration,
): Promise<NodeConfiguration | null> {
  const text = 'select not pg_is_in_recovery() as is_writable';
  const target = sqlTarget(configuration, node);
  const asking = tools.sql.query<{ is_writable: boolean }>(target, text, { timeoutMs: warmTimeoutMs });
  return await asking.then(
    ([row]) => (row?.is_writable ? node : null),
    () => null,
  );
}
