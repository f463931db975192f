// One command on one open channel: the script's wrapping, its output (drained and capped), its process group, its end.
// Knows nothing about connections; ssh.ts decides when a command starts, and when its time is over.
import { StringDecoder } from 'node:string_decoder';
import type { ClientChannel } from 'ssh2';

export interface CommandResult {
  /** null: the outcome is unknown (time over, or the channel dropped; stderr says which), or `signal` ended the command. */
  exitCode: number | null;
  /** The signal that ended the command's shell, as `SIGTERM`. */
  signal: string | null;
  /** UTF-8 text, at most 1 MiB; a last line says so when more was written. */
  stdout: string;
  stderr: string;
}

const maximumOutputBytes = 1024 * 1024;
const processMark = 'pgpool-runbook-process ';

/** The one command that sshd's login shell runs; everything else travels on stdin, so no login shell's quoting rules matter. */
export const remoteShell = 'exec sh -s';

export function quoteForShell(argument: string): string {
  return `'${argument.replaceAll("'", `'\\''`)}'`;
}

/**
 * The text for stdin. The script is one brace group because the shell reads a whole group before it runs any of it: a
 * script that was cut off by a dying connection does nothing, and its commands cannot eat it from stdin. What it makes is closed to others. `$$` is the process
 * group, because sshd starts a session per command and the login shell is replaced (measured, OpenSSH 9.2).
 */
export function wrapScript(script: string, scriptArguments: readonly string[]): string {
  if (script.includes('\0') || scriptArguments.some((argument) => argument.includes('\0'))) {
    throw new RangeError('a shell script and its arguments cannot hold the character NUL');
  }
  const setArguments = ['set --', ...scriptArguments.map(quoteForShell)].join(' ');
  return `${setArguments}; echo "${processMark}$$"; umask 077; { :;${script}\n} </dev/null\n`;
}

/** TERM to the group now, KILL a second later to what is left of it; does not wait for that, so that others can be ended. */
export function killScript(processGroup: number): string {
  const group = String(processGroup);
  return `kill -s TERM -- -${group} && { sleep 1; kill -s KILL -- -${group}; } >/dev/null 2>&1 &`;
}

/** After killScript, how long until nothing of the group is left. */
export const killMs = 2000;

class CappedText {
  private readonly chunks: Buffer[] = [];
  private keptBytes = 0;
  private totalBytes = 0;

  add(chunk: Buffer): void {
    this.totalBytes += chunk.length;
    const kept = chunk.subarray(0, maximumOutputBytes - this.keptBytes);
    this.keptBytes += kept.length;
    if (kept.length > 0) this.chunks.push(kept);
  }

  toString(): string {
    const text = Buffer.concat(this.chunks).toString('utf8');
    if (this.totalBytes === this.keptBytes) return text;
    return `${text}\n[truncated: the first ${maximumOutputBytes} of ${this.totalBytes} bytes]\n`;
  }
}

export class RemoteCommand {
  /** Resolves when the shell has read the whole script and begins to run it. */
  readonly processGroup: Promise<number>;
  readonly result: Promise<CommandResult>;
  private readonly stdout = new CappedText();
  private readonly stderr = new CappedText();
  /** A character may be cut in two between chunks. */
  private readonly decoder = new StringDecoder('utf8');
  private head: Buffer | undefined = Buffer.alloc(0);
  private announce: (processGroup: number) => void = () => undefined;

  constructor(
    private readonly channel: ClientChannel,
    private readonly place: string,
    input: string,
    private readonly onOutput: (text: string) => void = () => undefined,
  ) {
    this.processGroup = new Promise((resolve) => (this.announce = resolve));
    // Both streams must be read: sshd stops a command whose stderr nobody takes (measured, 5 MB).
    channel.on('data', (chunk: Buffer) => {
      this.addOutput(chunk);
    });
    channel.stderr.on('data', (chunk: Buffer) => {
      this.stderr.add(chunk);
    });
    const errorEnd = new Promise((resolve) => channel.stderr.once('end', resolve));
    this.result = new Promise((resolve) => {
      channel.once('close', (exitCode?: number | null, signal?: string) => {
        void errorEnd.then(() => {
          const isUnknown = exitCode === undefined || (exitCode === null && !signal);
          const note = 'the connection was lost while the command ran: its outcome is unknown and it may still run';
          resolve(this.summarize(exitCode ?? null, signal ?? null, isUnknown ? note : undefined));
        });
      });
    });
    channel.end(input);
  }

  /** The result as far as it is known when the time is over and the command has not ended. */
  summarizeUnfinished(timeoutMs: number): CommandResult {
    const note = `no exit status within ${timeoutMs} ms: its outcome is unknown, its process group was told to end`;
    return this.summarize(null, null, note);
  }

  /** Lets the channel go even if a process that left the group keeps its output open. */
  close(): void {
    this.channel.close();
  }

  /** Whatever precedes our mark was printed by the login shell's start-up files, and is dropped. */
  private addOutput(chunk: Buffer): void {
    if (!this.head) {
      this.take(chunk);
      return;
    }
    this.head = Buffer.concat([this.head, chunk]);
    const from = this.head.indexOf(processMark);
    const end = from < 0 ? -1 : this.head.indexOf('\n', from);
    if (end < 0) return;
    this.announce(Number(this.head.toString('latin1', from + processMark.length, end)));
    this.take(this.head.subarray(end + 1));
    this.head = undefined;
  }

  private take(chunk: Buffer): void {
    this.stdout.add(chunk);
    const text = this.decoder.write(chunk);
    if (text !== '') this.onOutput(text);
  }

  private summarize(exitCode: number | null, signal: string | null, note: string | undefined): CommandResult {
    const stderr = this.stderr.toString();
    const separator = stderr === '' || stderr.endsWith('\n') ? '' : '\n';
    return {
      exitCode,
      signal,
      stdout: this.stdout.toString(),
      stderr: note === undefined ? stderr : `${stderr}${separator}[ssh ${this.place}: ${note}]\n`,
    };
  }
}
