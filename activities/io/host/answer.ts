// How a script on a node has answered, read here and nowhere else: KEY=value lines that end with answer=done, or one sentence why not.
// sh/lib/answer.sh and sh/lib/act.sh are the other side.

import type { NodeConfiguration } from '../../../domain/facts/cluster';
import { type Failure, failure, type failureTypes } from '../failures';
import type { CommandResult } from '../ssh/ssh';

/** The KEY=value lines of an answer. A key may come more than once. */
export class Values {
  private readonly lines: readonly string[];

  constructor(text: string) {
    this.lines = text.split('\n').filter((line) => keyPattern.test(line));
  }

  /** Of the last line with that key; undefined without one. */
  get(key: string): string | undefined {
    return this.all(key).at(-1);
  }

  /** The same, where the value is yes or no; null without the key. */
  flag(key: string): boolean | null {
    const value = this.get(key);
    return value === undefined ? null : value === 'yes';
  }

  /** In the order of the lines. */
  all(key: string): string[] {
    const start = `${key}=`;
    return this.lines.flatMap((line) => (line.startsWith(start) ? [line.slice(start.length)] : []));
  }

  /** A value that is base64, because it may hold any bytes; undefined without the key. */
  bytes(key: string): Buffer | undefined {
    const value = this.get(key);
    return value === undefined ? undefined : Buffer.from(value, 'base64');
  }

  /** The last value of each key that begins so, by the rest of the key. */
  startingWith(start: string): Map<string, string> {
    const found = this.lines.filter((line) => line.startsWith(start));
    return new Map(
      found.map((line) => [line.slice(start.length, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
  }
}

const keyPattern = /^[a-z][a-z0-9_]*=/;

/**
 * refused: the world differs from the plan. wrong: the cluster file is. closed: the node's lock or the deadline kept the act out,
 * and nothing was done. failed: anything else. unknown: it may have acted, and may still act.
 */
export type Refusal = 'refused' | 'wrong' | 'closed' | 'failed' | 'unknown';

/** A refusal may have values, too: what was found out before. */
export type Answer =
  | { readonly kind: 'done'; readonly values: Values }
  | { readonly kind: Refusal; readonly sentence: string; readonly values: Values };

// Exit statuses of sh/lib/names.sh, and the key of the sentence that comes with each.
export const exitStatuses = { refused: 3, misconfigured: 4, lockFailed: 74, lockHeld: 75, tooLate: 76 } as const;
const sentenceKeys = new Map<number, Refusal>([
  [exitStatuses.refused, 'refused'],
  [exitStatuses.misconfigured, 'wrong'],
  [exitStatuses.lockFailed, 'wrong'],
  [exitStatuses.lockHeld, 'closed'],
  [exitStatuses.tooLate, 'closed'],
]);

export function parseAnswer({ exitCode, stdout, stderr }: Omit<CommandResult, 'signal'>): Answer {
  const values = new Values(stdout);
  if (exitCode === 0 && /(^|\n)answer=done\n$/.test(stdout)) return { kind: 'done', values };
  if (exitCode === 0) return { kind: 'unknown', sentence: 'its answer was cut off', values };
  if (exitCode === null) return { kind: 'unknown', sentence: lastLines(stderr) || 'no exit status', values };
  const kind = sentenceKeys.get(exitCode);
  // A program's own status is no word of ours.
  const sentence = kind && values.get(kind);
  if (kind && sentence !== undefined) return { kind, sentence, values };
  return { kind: 'failed', sentence: lastLines(stderr) || `exit status ${exitCode}`, values };
}

/** A job's log holds both: the lines of its answer, and what its programs have said. */
export function parseJobAnswer(exitCode: number, log: string): Answer {
  const said = log.split('\n').filter((line) => !keyPattern.test(line));
  return parseAnswer({ exitCode, stdout: log, stderr: said.join('\n') });
}

const shownLines = 3;
const shownLength = 800;

function lastLines(text: string): string {
  return text.trim().split('\n').slice(-shownLines).join(' / ').slice(-shownLength);
}

const types = {
  refused: 'worldChanged',
  wrong: 'configuration',
  closed: 'unreachable',
  failed: 'unproven',
  unknown: 'unreachable',
} as const satisfies Record<Refusal, keyof typeof failureTypes>;

/** Whose answer it is, and what was asked for: "set its data aside". */
export interface About {
  readonly node: NodeConfiguration;
  readonly what: string;
}

/** The values of an answer that must be "done". @throws WorldChanged, Configuration, Unproven or Unreachable, as the answer says */
export function requireDone(about: About, answer: Answer): Values {
  if (answer.kind === 'done') return answer.values;
  throw explainAnswer(about, answer);
}

/** The failure that an answer means which is not "done". */
export function explainAnswer(
  { node, what }: About,
  { kind, sentence }: { readonly kind: Refusal; readonly sentence: string },
): Failure {
  const did: Record<Refusal, string> = {
    refused: `refused to ${what}: `,
    wrong: `cannot ${what}: `,
    closed: '',
    failed: `cannot ${what}: `,
    unknown: `cannot ${what}, as far as is known: `,
  };
  return failure(types[kind], `node ${node.id} (${node.host}): ${did[kind]}${sentence}`);
}
