// The command line: names, options, exit codes and output. Each command's code is loaded only when it runs.
// Output is plain lines without colour (so NO_COLOR needs nothing), or one JSON value with -o json; errors and progress
// go to stderr.

import { readFileSync } from 'node:fs';
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { ConfigurationError } from '../configuration/load';
import { type Choice, choices } from '../domain/facts/decision';
import type { DecideArguments } from './commands/decide';
import type { HookConfArguments, PgpoolConfArguments } from './commands/pgpool-conf';
import type { MaintenanceArguments } from './commands/maintenance';
import type { PlanArguments } from './commands/plan';
import type { RecordArguments } from './commands/record';
import type { RejoinArguments } from './commands/rejoin';
import type { StatusArguments } from './commands/status';
import { CommandFailure, type CommandResult, type ExitCode } from './outcome';
import { findPackageFile } from './package';

export interface Io {
  readonly writeOut: (text: string) => void;
  readonly writeError: (text: string) => void;
}

const processIo: Io = {
  writeOut: (text) => void process.stdout.write(text),
  writeError: (text) => void process.stderr.write(text),
};

/**
 * Runs one command; `argv` is without node and the script. Resolves to the exit code: 0 done, 1 refused or incomplete,
 * 2 usage or configuration, 3 cannot reach Temporal, 4 timed out. Never rejects: every error becomes lines on stderr.
 */
export async function main(argv: readonly string[], io: Io = processIo): Promise<ExitCode> {
  const run = { exitCode: 0 as ExitCode, isJson: false };
  const execute: Execute = async (options, command) => {
    run.isJson = options.output === 'json';
    const { exitCode, lines, json } = await command();
    run.exitCode = exitCode;
    io.writeOut(run.isJson ? `${JSON.stringify(json)}\n` : lines.map((line) => `${line}\n`).join(''));
  };
  try {
    await createProgram(io, execute).parseAsync(argv, { from: 'user' });
    return run.exitCode;
  } catch (error) {
    // Commander has already written its own message; help and version are not errors.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    return reportError(error, io, run.isJson);
  }
}

interface CommonOptions {
  readonly output: string;
}

type Execute = (options: CommonOptions, command: () => Promise<CommandResult>) => Promise<void>;

function createProgram(io: Io, execute: Execute): Command {
  const { version } = JSON.parse(readFileSync(findPackageFile('package.json'), 'utf8')) as { version: string };
  const program = new Command('pgpool-runbook')
    .description('Durable failover and follow runbooks for PostgreSQL behind pgpool-II, on Temporal')
    .version(version)
    .exitOverride()
    .configureOutput({
      writeOut: io.writeOut,
      writeErr: io.writeError,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
  addWorker(program, execute);
  addCheck(program, execute);
  addPgpoolConf(program, execute);
  addHookConf(program, execute);
  addRejoin(program, execute, (line) => {
    io.writeError(`${line}\n`);
  });
  addDecide(program, execute);
  addStatus(program, execute);
  addPlan(program, execute);
  addRecord(program, execute);
  addMaintenance(program, execute);
  return program;
}

function addWorker(program: Command, execute: Execute): void {
  withOutput(program.command('worker'))
    .description('run the worker of one or more clusters, until SIGINT or SIGTERM')
    .requiredOption('-c, --config <files...>', 'cluster files')
    .action(async (options: CommonOptions & { config: string[] }) => {
      await execute(options, async () =>
        (await import('./commands/worker.js')).worker(options.config, options.output === 'json'),
      );
    });
}

function addCheck(program: Command, execute: Execute): void {
  withOutput(program.command('check'))
    .description('validate cluster files; lists every problem with its line')
    .requiredOption('-c, --config <files...>', 'cluster files')
    .action(async (options: CommonOptions & { config: string[] }) => {
      await execute(options, async () => (await import('./commands/check.js')).check(options.config));
    });
}

function addPgpoolConf(program: Command, execute: Execute): void {
  withOutput(program.command('pgpool-conf'))
    .description('print the block for pgpool.conf, or put it there in place of an earlier one')
    .requiredOption('-c, --config <file>', 'cluster file')
    .option('--pgpool <name>', "one pgpool of the cluster file: adds that pgpool's own ports")
    .option('--hook <path>', "hook.sh on the pgpool host (default: this package's)")
    .option('--hook-conf <path>', 'hook.conf on the pgpool host', '/etc/pgpool-runbook/hook.conf')
    .option('--write <file>', 'the pgpool.conf to put the block into; its own settings are kept')
    .action(async (options: CommonOptions & PgpoolConfArguments) => {
      await execute(options, async () => (await import('./commands/pgpool-conf.js')).pgpoolConf(options));
    });
}

function addHookConf(program: Command, execute: Execute): void {
  withOutput(program.command('hook-conf'))
    .description("print the hook's hook.conf for a cluster")
    .requiredOption('-c, --config <file>', 'cluster file')
    .option('--temporal-http <url>', "Temporal's HTTP API (default: port 7243 of temporal.address)")
    .option(
      '--spool <directory>',
      'where the hook keeps undelivered events (default: /var/lib/pgpool-runbook/<cluster>)',
    )
    .action(async (options: CommonOptions & HookConfArguments) => {
      await execute(options, async () => (await import('./commands/pgpool-conf.js')).printHookConf(options));
    });
}

function addRejoin(program: Command, execute: Execute, say: (line: string) => void): void {
  withOutput(program.command('rejoin'))
    .description('make a node follow the primary again: repointed, started or rebuilt, whatever it needs')
    .argument('<node>', "the node's id in the cluster file")
    .requiredOption('-c, --config <file>', 'cluster file')
    .option('--no-wait', 'only send the rejoin; do not wait for its result')
    .option('--timeout <seconds>', 'wait no longer than this; the rejoin goes on', parseSeconds)
    .action(async (node: string, options: CommonOptions & RejoinArguments) => {
      await execute(options, async () => (await import('./commands/rejoin.js')).rejoin(node, options, say));
    });
}

function addDecide(program: Command, execute: Execute): void {
  withOutput(program.command('decide'))
    .description('decide about a step that waits for a person; without a step, list those that wait')
    .argument('<incident>', "the incident's workflow id: pgpool-<cluster>")
    .argument('[step]', 'the id of the step')
    .addArgument(new Argument('[choice]', 'what to do').choices(choices))
    .requiredOption('-c, --config <file>', 'cluster file')
    .option('--reason <text>', 'why; kept with the decision')
    .option('--operator <name>', 'who decides (default: <user>@<host>)')
    .action(
      async (
        incident: string,
        step: string | undefined,
        choice: Choice | undefined,
        options: CommonOptions & DecideArguments,
      ) => {
        await execute(options, async () =>
          (await import('./commands/decide.js')).decide(incident, step, choice, options),
        );
      },
    );
}

function addStatus(program: Command, execute: Execute): void {
  withOutput(program.command('status'))
    .description('show the cluster: nodes, pgpools, record, incident, parked steps; exit code 1 if something is wrong')
    .requiredOption('-c, --config <file>', 'cluster file')
    .action(async (options: CommonOptions & StatusArguments) => {
      await execute(options, async () => (await import('./commands/status.js')).status(options));
    });
}

function addPlan(program: Command, execute: Execute): void {
  withOutput(program.command('plan'))
    .description(
      'tell what would be done if nodes went down now: decision, verbs, rung of each standby; changes nothing',
    )
    .requiredOption('-c, --config <file>', 'cluster file')
    .requiredOption('--if <node=down...>', 'a node that is taken to be down; may be given several times')
    .action(async (options: CommonOptions & PlanArguments) => {
      await execute(options, async () => (await import('./commands/plan.js')).plan(options));
    });
}

function addRecord(program: Command, execute: Execute): void {
  const record = program
    .command('record')
    .description('the record of a cluster: which node is the primary, since when, and who says so');
  withOutput(record.command('show'))
    .description('print the record; works while no worker runs')
    .requiredOption('-c, --config <file>', 'cluster file')
    .action(async (options: CommonOptions & RecordArguments) => {
      await execute(options, async () => (await import('./commands/record.js')).showRecord(options));
    });
  withOutput(record.command('accept'))
    .description('say that this node, which accepts writes, is the right primary')
    .argument('<node>', "the node's id in the cluster file")
    .requiredOption('-c, --config <file>', 'cluster file')
    .option('--operator <name>', 'who says so (default: <user>@<host>)')
    .action(async (node: string, options: CommonOptions & RecordArguments) => {
      await execute(options, async () => (await import('./commands/record.js')).acceptPrimary(node, options));
    });
}

function addMaintenance(program: Command, execute: Execute): void {
  const maintenance = program
    .command('maintenance')
    .description('leave a node alone, or, without a node, make no failover, until the maintenance is stopped');
  withOutput(maintenance.command('start'))
    .argument('[node]', "the node's id in the cluster file; without it the whole cluster is paused")
    .requiredOption('-c, --config <file>', 'cluster file')
    .requiredOption('--reason <text>', 'why; shown in status and in the lines that name the maintenance')
    .option('--for <duration>', 'such as 30m, 2h or 1d; without it until maintenance stop')
    .option('--operator <name>', 'who does it (default: <user>@<host>)')
    .action(async (node: string | undefined, options: CommonOptions & MaintenanceArguments) => {
      await execute(options, async () => (await import('./commands/maintenance.js')).startMaintenance(node, options));
    });
  withOutput(maintenance.command('stop'))
    .argument('[node]', "the node's id in the cluster file; without it the pause of the cluster")
    .requiredOption('-c, --config <file>', 'cluster file')
    .option('--operator <name>', 'who does it (default: <user>@<host>)')
    .action(async (node: string | undefined, options: CommonOptions & MaintenanceArguments) => {
      await execute(options, async () => (await import('./commands/maintenance.js')).stopMaintenance(node, options));
    });
}

/** At most ten days, because Node's timers take no more than 24. */
function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (!/^[0-9]{1,6}$/.test(text) || seconds < 1 || seconds > 864_000)
    throw new InvalidArgumentError('It must be a whole number from 1 to 864000.');
  return seconds;
}

function withOutput(command: Command): Command {
  return command.addOption(
    new Option('-o, --output <format>', 'output format').choices(['text', 'json']).default('text'),
  );
}

/**
 * Prints an error. Problems of a cluster file start with path and line, so that editors can jump there: nothing may be
 * put before them.
 */
function reportError(error: unknown, io: Io, isJson: boolean): ExitCode {
  const exitCode = error instanceof ConfigurationError ? 2 : error instanceof CommandFailure ? error.exitCode : 1;
  const message = error instanceof Error ? error.message : String(error);
  const errors = error instanceof ConfigurationError ? error.problems : [`pgpool-runbook: ${message}`];
  for (const line of errors) io.writeError(`${line}\n`);
  if (isJson) io.writeOut(`${JSON.stringify({ errors })}\n`);
  return exitCode;
}
