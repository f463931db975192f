// `npm run demo`: a real cluster, the article's failure under write load, the failed node's return, another failure,
// and proof of each. Exit 0 only if proven.

import { Client, Connection } from '@temporalio/client';
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { messageOf } from '../activities/io/failures';
import { type DemoOptions, printable, readArguments } from './demo/arguments';
import type { DemoJson } from './demo/judge';
import { play } from './demo/play';
import { printSummary } from './demo/print';
import type { Say } from './demo/watch-incident';
import { type Lab, up } from './lab';

async function main(argv: readonly string[]): Promise<number> {
  const options = readArguments(argv);
  if ('error' in options) {
    process.stderr.write(`${options.error}\n`);
    return 2;
  }
  const say: Say = (line = '') => {
    process.stdout.write(`${line}\n`);
  };
  say('pgpool-runbook demo: three PostgreSQL nodes, pgpool-II, Temporal, a write load. The primary is stopped,');
  say('comes back as a standby, and then its successor is stopped. About a minute.');
  say();
  let lab: Lab | null = null;
  try {
    lab = await up({
      name: options.name,
      onProgress: (line) => {
        say(`  … ${line}`);
      },
    });
    return await Promise.race([interruption(), show(lab, options, say)]);
  } catch (error) {
    process.stderr.write(`demo: ${messageOf(error)}\n`);
    return error instanceof Interruption ? 130 : 1;
  } finally {
    if (lab) {
      say('taking the lab down …');
      await lab.down();
    }
  }
}

async function show(lab: Lab, options: DemoOptions, say: Say): Promise<number> {
  // Never closed: a pending call of an interrupted act would throw an error that no code catches.
  const connection = await Connection.connect({ address: lab.temporal.address });
  const temporal = new Client({ connection, namespace: lab.temporal.namespace });
  const result = await play({ lab, temporal, say });
  printSummary(say, result);
  if (options.json) writeFileSync(options.json, `${printable(result.json)}\n`);
  if (process.stdin.isTTY && process.stdout.isTTY) await untilEnter(lab, result.json, say);
  return result.problems.length === 0 ? 0 : 1;
}

class Interruption extends Error {}

/** Rejects at the first signal that would end the process, so that the lab is still taken down. */
async function interruption(): Promise<never> {
  return await new Promise((_, reject) => {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.once(name, () => {
        reject(new Interruption(`interrupted by ${name}`));
      });
    }
  });
}

async function untilEnter(lab: Lab, { second }: DemoJson, say: Say): Promise<void> {
  say();
  say(`The lab stays up. Try: npm run lab -- status --name ${lab.name}   or open ${lab.temporal.web}`);
  for (const { id, status } of second?.pcpAfter ?? [])
    if (status === 'down')
      say(`Node ${id} comes back by: node client/pgpool-runbook.js rejoin ${id} --config ${lab.clusterFile}`);
  const input = createInterface({ input: process.stdin, output: process.stdout });
  await new Promise<void>((resolve) => {
    input.question('Press Enter to take it down. ', () => {
      resolve();
    });
    input.on('close', resolve);
    input.on('SIGINT', resolve);
  });
  input.close();
}

void main(process.argv.slice(2)).then((exitCode) => {
  // Ends the writers of an interrupted or failed act, which would go on for ever.
  process.exit(exitCode);
});
