// A command's result for cli.ts: plain lines for people, plain JSON for programs, and the exit code.

/** 0 done, 1 refused or incomplete, 2 usage or configuration, 3 cannot reach Temporal, 4 timed out. */
export type ExitCode = 0 | 1 | 2 | 3 | 4;

export interface CommandResult {
  readonly exitCode: ExitCode;
  readonly lines: readonly string[];
  readonly json: unknown;
}

/** An expected end without a result; `message` tells the person what was attempted, what was seen, what to do. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure';

  constructor(
    readonly exitCode: ExitCode,
    message: string,
  ) {
    super(message);
  }
}
