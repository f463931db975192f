// `npm run demo`: a real cluster, the article's failure under write load, and proof of what happened. Exit 0 only if proven.

import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { messageOf } from '../activities/io/failures';
import { type DemoOptions, printable, readArguments } from './demo/arguments';
import { describeNodes, printPcp, printVerdict } from './demo/print';
import { judge, type DemoResult } from './demo/judge';
import { runFailover } from './demo/run-failover';
import { type Lab, up } from './lab';

async function main(argv: readonly string[]): Promise<number> {
  const options = readArguments(argv);
  if ('error' in options) {
    process.stderr.write(`${options.error}\n`);
    return 2;
  }
  const say = (line = ''): void => {
    process.stdout.write(`${line}\n`);
  };
  say('pgpool-runbook demo: three PostgreSQL nodes, pgpool-II, Temporal; the primary is stopped under write load.');
  say();
  let lab: Lab | null = null;
  try {
    lab = await up({
      name: options.name,
      onProgress: (line) => {
        say(`  … ${line}`);
      },
    });
    return await Promise.race([interruption(), play(lab, options, say)]);
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

async function play(lab: Lab, options: DemoOptions, say: (line?: string) => void): Promise<number> {
  const before = await lab.report();
  say();
  say(describeNodes(lab, before));
  printPcp(say, 'PCP node info before', before);
  const run = await runFailover(lab, say);
  const after = await lab.report();
  say();
  say(describeNodes(lab, after));
  printPcp(say, 'PCP node info after', after);
  const result: DemoResult = judge(lab, before, run, after);
  printVerdict(say, result, run);
  if (options.json) writeFileSync(options.json, `${printable(result.json)}\n`);
  if (process.stdin.isTTY && process.stdout.isTTY) await untilEnter(lab, say);
  return result.problems.length === 0 ? 0 : 1;
}

class Interruption extends Error {}

/** Rejects at the first signal that would end the process, so that the lab is taken down all the same. */
async function interruption(): Promise<never> {
  return await new Promise((_, reject) => {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.once(name, () => {
        reject(new Interruption(`interrupted by ${name}`));
      });
    }
  });
}

async function untilEnter(lab: Lab, say: (line?: string) => void): Promise<void> {
  say();
  say(`The lab stays up. Try: npm run lab -- status --name ${lab.name}   or open ${lab.temporal.web}`);
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
  process.exitCode = exitCode;
});
