// `npm run lab -- …`: the lab for people. Exit codes: 0 done, 1 it failed or the lab is not all up, 2 usage, 130 interrupted.
import path from 'node:path';
import pc from 'picocolors';
import { listNames, open, takeDown, up, type Lab, type LabReport } from './lab';

const usage = `usage: npm run lab -- COMMAND [--name NAME]

  up [--nodes N] [--no-worker]   build a cluster: PostgreSQL nodes, pgpool, Temporal, a worker
  status                         what runs, who streams from whom, what is in progress or parked
  down                           stop everything and remove it
  list                           the labs of this machine that are yours

Break node N, and mend it:
  stop-immediate N               pg_ctl -m immediate stop
  kill N                         kill -9 of the postmaster
  kill-host N                    kill -9 of everything on the node's host, sshd included
  freeze N | thaw N              SIGSTOP, SIGCONT
  drop N | restore N             as root: its packets are dropped, let through again
  start N                        start it again as it lies (and its sshd)`;

class UsageError extends Error {}

const nodeActions: Record<string, (lab: Lab, node: number) => Promise<void> | void> = {
  'stop-immediate': (lab, node) => lab.stopImmediate(node),
  kill: (lab, node) => lab.killPostgres(node),
  'kill-host': (lab, node) => lab.killHost(node),
  freeze: (lab, node) => lab.freeze(node),
  thaw: (lab, node) => {
    lab.thaw(node);
  },
  drop: (lab, node) => lab.dropHost(node),
  restore: (lab, node) => lab.restoreHost(node),
  start: (lab, node) => lab.startHost(node),
};

interface Arguments {
  readonly command: string;
  readonly operands: readonly string[];
  readonly name: string;
  readonly nodes: number;
  readonly withWorker: boolean;
}

function parseArguments(argv: readonly string[]): Arguments {
  let [name, nodes, withWorker] = ['default', 3, true];
  const words: string[] = [];
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? '';
    const [key, inline] = word.split('=', 2);
    const value = (): string => {
      const found = inline ?? argv[++at];
      if (!found) throw new UsageError(`${word} needs a value`);
      return found;
    };
    if (key === '--name') name = value();
    else if (key === '--nodes') nodes = parseWholeNumber(value(), '--nodes');
    else if (word === '--no-worker') withWorker = false;
    else if (word.startsWith('-')) throw new UsageError(`unknown option ${word}`);
    else words.push(word);
  }
  const [command, ...operands] = words;
  if (!command) throw new UsageError('which command?');
  return { command, operands, name, nodes, withWorker };
}

function parseWholeNumber(text: string, what: string): number {
  if (!/^[0-9]{1,3}$/.test(text)) throw new UsageError(`${what} must be a whole number, not "${text}"`);
  return Number(text);
}

async function main(argv: readonly string[]): Promise<number> {
  if (argv.some((word) => word === '--help' || word === '-h')) {
    print(usage);
    return 0;
  }
  const input = parseArguments(argv);
  const { command, operands, name } = input;
  const action = nodeActions[command];
  if (operands.length !== (action ? 1 : 0)) {
    throw new UsageError(action ? `${command} needs one node number` : `${command} takes no operand`);
  }
  if (action) {
    const node = parseWholeNumber(operands[0] ?? '', 'the node');
    await action(await open(name), node);
    print(`${command} ${node}: done`);
    return 0;
  }
  switch (command) {
    case 'up':
      return start(input);
    case 'status':
      return showStatus(await open(name));
    case 'down':
      print((await takeDown(name)) ? `lab "${name}" is down` : `there is no lab "${name}": nothing to do`);
      return 0;
    case 'list':
      for (const each of listNames()) print(each);
      return 0;
    default:
      throw new UsageError(`unknown command ${command}`);
  }
}

async function start({ name, nodes, withWorker }: Arguments): Promise<number> {
  const began = Date.now();
  const onProgress = (line: string): void => {
    print(pc.dim(`starting ${line}`));
  };
  const lab = await up({ name, nodes, withWorker, onProgress });
  print(`lab "${name}" is up after ${((Date.now() - began) / 1000).toFixed(1)} s\n`);
  const code = await showStatus(lab);
  const option = name === 'default' ? '' : ` --name ${name}`;
  const psql = `PGPASSFILE=${lab.passFile} psql -h ${lab.pgpool.host} -p ${lab.pgpool.port} -U postgres postgres`;
  print('');
  print(`psql through pgpool  ${psql}`);
  print(`Temporal Web         ${lab.temporal.web}`);
  print(`Cluster file         ${lab.clusterFile}`);
  print(`Logs                 ${path.join(lab.directory, '*', '*.log')}`);
  print(`Break it             npm run lab -- stop-immediate 0${option}`);
  print(`Stop it              npm run lab -- down${option}`);
  return code;
}

async function showStatus(lab: Lab): Promise<number> {
  // Load the client only here: it takes half a second, and most commands do without it.
  const { readProgress } = await import('./progress.js');
  const [seen, progress] = await Promise.all([lab.report(), readProgress(lab)]);
  for (const line of [...formatReport(seen), ...progress]) print(line);
  const isWhole =
    seen.nodes.every((node) => node.isInRecovery !== null) && seen.isPgpoolRunning && seen.isTemporalRunning;
  return isWhole ? 0 : 1;
}

function formatReport(seen: LabReport): string[] {
  const rows = seen.nodes.map((node) => {
    const backends = seen.backends.filter(({ id }) => id === node.id);
    const inPgpool = backends.map((one) => ('error' in one ? '?' : `${one.status} ${one.role}`)).join(', ');
    const notes = [...(node.isSshRunning ? [] : ['no sshd']), ...(node.isDropped ? ['packets dropped'] : [])];
    return [
      String(node.id),
      node.address,
      describeRole(node),
      node.timeline === null ? '-' : String(node.timeline),
      node.lsn ?? '-',
      node.streamingFrom === null ? '-' : `node ${node.streamingFrom}`,
      inPgpool,
      notes.join(', '),
    ];
  });
  const table = [['node', 'address', 'PostgreSQL', 'timeline', 'LSN', 'streams from', 'in pgpool', ''], ...rows];
  const widths = table[0]?.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0))) ?? [];
  const lines = table.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  const daemon = (name: string, isRunning: boolean): string => `${name} ${isRunning ? 'runs' : pc.red('does not run')}`;
  const daemons = [
    daemon('pgpool', seen.isPgpoolRunning),
    daemon('Temporal', seen.isTemporalRunning),
    daemon('worker', seen.isWorkerRunning),
  ];
  return [...lines, daemons.join(', ')];
}

function describeRole(node: LabReport['nodes'][number]): string {
  if (node.isInRecovery === null) return node.isRunning ? 'silent' : 'down';
  return node.isInRecovery ? 'standby' : 'primary';
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function fail(error: unknown): number {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(error instanceof UsageError ? `${message}\n\n${usage}\n` : `${message}\n`);
  if (error instanceof UsageError) return 2;
  return message.startsWith('interrupted by') ? 130 : 1;
}

main(process.argv.slice(2))
  .catch(fail)
  .then((code) => {
    process.exitCode = code;
  })
  .catch(() => undefined);
