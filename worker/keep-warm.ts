// Keeps one connection of each kind open to every node, and says when a way to a node stops working, and when it works again.

import { messageOf } from '../activities/io/failures';
import { SqlFailure } from '../activities/io/sql/postgres';
import { SshFailure } from '../activities/io/ssh/ssh';
import { sqlTarget, sshTarget, type WorkerTools } from '../activities/io/tools';
import type { ClusterConfiguration, NodeConfiguration } from '../domain/facts/cluster';
import type { ClusterFile } from './tools';

const warmEveryMs = 2000;
const warmTimeoutMs = 2000;
/** After a refused key or password; then each time the longer one. fail2ban locks out whoever fails five times in ten minutes. */
const [refusalPauseMs, longestPauseMs] = [30_000, 300_000];

/** refusal: whoever asks again without a change is refused again. passing: says nothing of its own. */
interface Trouble {
  readonly kind: string;
  readonly message: string;
  readonly isRefusal: boolean;
  readonly isPassing: boolean;
}

/** Of one way to one node. */
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
  ) {}

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
    this.nextAt = trouble?.isRefusal ? Date.now() + (this.refusals > 1 ? longestPauseMs : refusalPauseMs) : 0;
    if (trouble?.isPassing) return;
    const kind = trouble?.kind ?? null;
    // The first look at every way, at the worker's start, is told by first-look.ts.
    if (!this.isFirst && kind !== this.kind)
      this.say(trouble ? `warning: ${this.name}: ${trouble.message}` : `${this.name}: works again`);
    this.isFirst = false;
    this.kind = kind;
  }
}

function describe(error: unknown): Trouble {
  const message = messageOf(error);
  if (error instanceof SqlFailure)
    return { kind: error.kind, message, isRefusal: error.kind === 'rejected', isPassing: error.kind === 'lost' };
  if (error instanceof SshFailure) {
    const isRefusal = ['authentication', 'host-key', 'identity-file', 'known-hosts-file', 'protocol'];
    return { kind: error.kind, message, isRefusal: isRefusal.includes(error.kind), isPassing: error.kind === 'lost' };
  }
  return { kind: 'other', message, isRefusal: true, isPassing: false };
}

/** Returns a function that stops it. No line holds a secret: the messages are those of the failures. */
export function keepWarm(tools: WorkerTools, files: readonly ClusterFile[], say: (line: string) => void): () => void {
  const ways = files.flatMap(({ configuration }) =>
    configuration.nodes.flatMap((node) => waysTo(tools, configuration, node, say)),
  );
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
  return [
    new Way(`${name}, SQL`, () => tools.sql.query(sql, 'select 1', { timeoutMs: warmTimeoutMs }), say),
    new Way(`${name}, ssh`, () => tools.ssh.open(sshTarget(configuration, node)), say),
  ];
}
