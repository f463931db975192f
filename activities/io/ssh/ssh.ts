// Runs shell scripts on the nodes over warm, shared connections: one per target, at most 8 commands at a time on each.
// A rejected run did not start, unless its caller aborted it; a run that started resolves, with exitCode null if its end is unknown.
import { maximumConnectMs } from './client';
import { killMs, killScript, RemoteCommand, wrapScript, type CommandResult } from './command';
import { Connection, type Session } from './connection';
import { describeTarget, type SshTarget } from './failure';
import { Limit } from './limit';

export { SshFailure, type SshFailureKind, type SshTarget } from './failure';
export { quoteForShell, type CommandResult } from './command';

/** How long ending a command may wait for a session on its node. */
const endMs = 10_000;
/** How long close() waits for commands to be told to end. */
const closeMs = 1000;

export interface RunOptions {
  /** `$1`, `$2`, … of the script: any text without NUL. They do not show in the node's process list. */
  args?: readonly string[];
  /** For everything: waiting for a place, connecting and running. */
  timeoutMs: number;
  /** Ends the command, too; the run rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Is told what the script writes to stdout, as it comes: a piece may end in the middle of a line. */
  onOutput?: (text: string) => void;
}

export class SshConnections {
  private readonly connections = new Map<string, Connection>();
  private readonly closing = new AbortController();
  private readonly endings = new Set<Promise<void>>();

  /**
   * Runs a POSIX sh script as the target's user, with /dev/null as stdin, and resolves when it has ended and its output is
   * closed: a background child that keeps stdout or stderr open holds the run (redirect it). A shell syntax error is exit code 2.
   * Rejects with an SshFailure if the script was not sent. Once sent, it is never run again by us: a dropped connection or the
   * end of timeoutMs is exitCode null, and after timeoutMs or an abort its process group gets TERM, a second later KILL.
   */
  async run(target: SshTarget, script: string, options: RunOptions): Promise<CommandResult> {
    options.signal?.throwIfAborted();
    const input = wrapScript(script, options.args ?? []);
    const connection = this.findConnection(target);
    const limit = new Limit(options.timeoutMs, options.signal);
    try {
      const leave = await connection.takePlace(limit);
      const shell = await connection.openShell(limit).catch((error: unknown) => {
        leave();
        throw error;
      });
      shell.channel.once('close', leave);
      const command = new RemoteCommand(shell.channel, describeTarget(target), input, options.onOutput);
      return await this.runOn(shell.session, command, limit);
    } finally {
      limit.clear();
    }
  }

  /** Opens the connection if it is not open, so that the next run is fast. Never throws: the next run says what is wrong. */
  async warm(target: SshTarget): Promise<void> {
    await this.open(target).catch(() => undefined);
  }

  /** The same. @throws SshFailure */
  async open(target: SshTarget): Promise<void> {
    await this.findConnection(target).open(maximumConnectMs).opening;
  }

  /**
   * Closes every connection, after at most a second for telling timed-out or aborted commands to end. Commands that still
   * run are left running and resolve with exitCode null; later runs are refused.
   */
  async close(): Promise<void> {
    const patience = new Promise((resolve) => setTimeout(resolve, closeMs).unref());
    await Promise.race([Promise.all(this.endings), patience]);
    this.closing.abort();
    await Promise.all([...this.connections.values()].map((connection) => connection.closed()));
  }

  private async runOn(session: Session, command: RemoteCommand, limit: Limit): Promise<CommandResult> {
    try {
      return await limit.race(command.result);
    } catch (error) {
      const ending = endCommand(session, command);
      this.endings.add(ending);
      void ending.then(() => this.endings.delete(ending));
      if (limit.isTimeOver) return command.summarizeUnfinished(limit.timeoutMs);
      throw error;
    }
  }

  private findConnection(target: SshTarget): Connection {
    const key = [target.host, target.port, target.user, target.identityFile].join('\n');
    const connection = this.connections.get(key) ?? new Connection({ ...target }, this.closing.signal);
    this.connections.set(key, connection);
    return connection;
  }
}

/** Ends the remote process group over a second channel: ssh2 cannot signal a command whose stdin was closed (measured). */
async function endCommand(session: Session, command: RemoteCommand): Promise<void> {
  const limit = new Limit(endMs);
  try {
    const processGroup = await Promise.race([command.processGroup, command.result.then(() => undefined)]);
    if (processGroup === undefined) return;
    await new RemoteCommand(await session.openShell(limit), '', wrapScript(killScript(processGroup), [])).result;
    // A process that has left the group may hold the output, and with it the place, for ever.
    setTimeout(() => {
      command.close();
    }, killMs).unref();
  } catch {
    // The connection is gone; what runs on the node is guarded by its own lock and deadline.
  } finally {
    limit.clear();
  }
}
