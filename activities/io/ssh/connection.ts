// One target: its warm connection, opened when needed and replaced when dead, and the queue for its 8 places.
// Everything here happens before a script is sent, so everything may be tried again.
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientChannel } from 'ssh2';
import { openClient, type OpenClient } from './client';
import { remoteShell } from './command';
import { describeTarget, silentFailure, SshFailure, type ConnectPhase, type SshTarget } from './failure';
import { TimeOver, type Limit } from './limit';

/** sshd's MaxSessions is 10 by default; the other two are for ending commands whose time is over. */
const maximumCommands = 8;

/** An open connection and the number of channels on it. */
export class Session {
  private channels = 0;
  private isRetired = false;

  constructor(private readonly open: OpenClient) {}

  get isDead(): boolean {
    return this.open.isDead();
  }

  get closed(): Promise<void> {
    return this.open.closed;
  }

  /** No new command will use it; it goes when its last channel does, because that one's outcome is still wanted. */
  retire(): void {
    this.isRetired = true;
    if (this.channels === 0) this.open.destroy();
  }

  /**
   * A shell that waits for its script on stdin. sshd frees a session a moment after its channel has closed, so a refusal
   * for want of sessions is tried again until the limit is over.
   */
  async openShell(limit: Limit): Promise<ClientChannel> {
    let refusal: unknown;
    try {
      for (;;) {
        const channel = await limit.race(this.requestShell(limit)).catch((error: unknown) => {
          if (!isWantOfSessions(error) || this.isDead) throw error;
          refusal = error;
        });
        if (channel) return channel;
        await limit.race(sleep(20));
      }
    } catch (error) {
      throw error instanceof TimeOver ? (refusal ?? error) : error;
    }
  }

  /** One that comes after the limit is closed unused. */
  private requestShell(limit: Limit): Promise<ClientChannel> {
    this.channels++;
    const release = (): void => {
      this.channels--;
      if (this.isRetired && this.channels === 0) this.open.destroy();
    };
    return new Promise<ClientChannel>((resolve, reject) => {
      this.open.client.exec(remoteShell, (error: Error | undefined, channel: ClientChannel) => {
        if (error) {
          reject(error);
          return;
        }
        channel.once('close', release);
        if (limit.isOver) {
          channel.resume();
          channel.close();
        }
        resolve(channel);
      });
    }).catch((error: unknown) => {
      release();
      throw error;
    });
  }
}

/** RFC 4254 section 5.1: 2 = connect failed (what OpenSSH answers beyond MaxSessions), 4 = resource shortage. */
function isWantOfSessions(error: unknown): boolean {
  return error instanceof Error && 'reason' in error && (error.reason === 2 || error.reason === 4);
}

export class Connection {
  private opening: Promise<Session> | undefined;
  private phase: ConnectPhase = 'connecting';
  private running = 0;
  private readonly waiting = new Set<() => void>();

  constructor(
    private readonly target: SshTarget,
    private readonly closing: AbortSignal,
  ) {}

  /** Waits for one of the 8 places; the caller gives it back by calling the result, once. */
  async takePlace(limit: Limit): Promise<() => void> {
    if (this.running < maximumCommands) {
      this.running++;
    } else {
      let admit = (): void => undefined;
      const admitted = new Promise<void>((resolve) => (admit = resolve));
      this.waiting.add(admit);
      await limit.race(admitted).catch((error: unknown) => {
        // Not in the queue any more: the place came in the same moment, and goes to the next one.
        if (!this.waiting.delete(admit)) this.givePlaceBack();
        if (!limit.isTimeOver) throw error;
        const waited = `${maximumCommands} commands ran there for all of ${limit.timeoutMs} ms`;
        throw this.fail('protocol', `${waited}, so this one was not started. Try again later.`, true);
      });
    }
    return () => {
      this.givePlaceBack();
    };
  }

  private givePlaceBack(): void {
    const [next] = this.waiting;
    if (next) {
      this.waiting.delete(next);
      next();
    } else {
      this.running--;
    }
  }

  /** The open or opening connection; `isNew` if this call started it, with this timeout. */
  open(timeoutMs: number): { opening: Promise<Session>; isNew: boolean } {
    if (this.closing.aborted) throw this.fail('lost', 'the connections of this process were closed.');
    if (this.opening) return { opening: this.opening, isNew: false };
    const forget = (): void => {
      if (this.opening === opening) this.opening = undefined;
    };
    const onPhase = (phase: ConnectPhase): void => {
      this.phase = phase;
    };
    const opening = openClient(this.target, { timeoutMs, onPhase, signal: this.closing }).then((client) => {
      void client.closed.then(forget);
      return new Session(client);
    });
    opening.catch(forget);
    this.opening = opening;
    return { opening, isNew: true };
  }

  /** Resolves when nothing is open; for use after `closing` aborted. */
  async closed(): Promise<void> {
    await this.opening?.then(
      (session) => session.closed,
      () => undefined,
    );
  }

  /** Opens a shell within the limit. A warm connection that turns out dead is replaced once. */
  async openShell(limit: Limit): Promise<{ session: Session; channel: ClientChannel }> {
    for (let isSecond = false; ; isSecond = true) {
      const { opening, isNew } = this.open(limit.remainingMs());
      try {
        const session = await limit.race(opening);
        return { session, channel: await this.tryShell(session, opening, limit) };
      } catch (error) {
        if (error instanceof TimeOver) throw silentFailure(this.target, this.phase, limit.timeoutMs);
        // Another caller's attempt may have had less time than this one has.
        const mayRetry = error instanceof SshFailure && (error.kind === 'silent' || error.kind === 'lost');
        if (limit.isOver || isNew || isSecond || !mayRetry) throw error;
      }
    }
  }

  private async tryShell(session: Session, opening: Promise<Session>, limit: Limit): Promise<ClientChannel> {
    try {
      return await session.openShell(limit);
    } catch (error) {
      // ssh2 reports "Unable to exec" for a channel that died with its connection, too.
      const isAnswer = error instanceof Error && ('reason' in error || error.message === 'Unable to exec');
      if (isAnswer && !session.isDead) throw this.explainRefusal(error);
      if (limit.isOver && !limit.isTimeOver) throw error;
      // The connection is dead, or its peer is silent: the next command must not meet it.
      if (this.opening === opening) this.opening = undefined;
      session.retire();
      throw limit.isTimeOver
        ? error
        : this.fail('lost', 'the connection broke before the command was sent. Try again.');
    }
  }

  private explainRefusal(error: Error): SshFailure {
    const isLimit = 'reason' in error;
    const advice = isLimit
      ? 'Allow 10 sessions per connection there (MaxSessions in sshd_config).'
      : "Check the user's login shell and any forced command in authorized_keys.";
    return this.fail('protocol', `sshd would not start a shell ("${error.message}"). ${advice}`, isLimit);
  }

  private fail(kind: 'lost' | 'protocol', text: string, isRetryable?: boolean): SshFailure {
    return new SshFailure(kind, `ssh ${describeTarget(this.target)}: ${text}`, isRetryable);
  }
}
