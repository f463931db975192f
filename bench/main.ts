// `npm run bench`: measures ours beside what people use, in one run on one lab, and shows the stages of a failover.
// Exit 0 measured, whatever the figures say; 1 something could not be measured; 2 usage; 130 interrupted.

import { readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { messageOf } from '../activities/io/failures';
import { listNames, takeDown } from '../lab/lab';
import { findTemporalServer } from '../lab/tools';
import { type BenchOptions, profileName, readArguments } from './arguments';
import { Bed } from './bed';
import { formatResult, type Profile, type Result, writeInto } from './document';
import type { Row } from './figures';
import { measurePlan } from './measure';
import { medianStages, runProfileRound, totalOf } from './profile';
import { type Beds, plans } from './rows';

/** Size of the table: 1 GB, or less for a quick run. */
const largeBytes = { usual: 1024 ** 3, quick: 64 * 1024 ** 2 } as const;
/** Set by a signal: no round begins after it. */
const interrupted = new AbortController();
/** Prefix of the labs' names, for a run beside another one, such as a test's. */
const labPrefix = process.env['PGPOOL_RUNBOOK_BENCH_LAB'] ?? '';
const labNames: Readonly<Record<keyof Beds, string>> = { three: `${labPrefix}bench`, seven: `${labPrefix}bench-seven` };

const say = (line = ''): void => {
  process.stdout.write(`${line}\n`);
};

async function main(argv: readonly string[]): Promise<number> {
  const options = readArguments(argv);
  if ('error' in options) {
    process.stderr.write(`${options.error}\n`);
    return 2;
  }
  const taken = listNames().find((name) => Object.values(labNames).includes(name));
  if (taken !== undefined) {
    const advice = `does another benchmark run? Else npm run lab -- down --name ${taken}`;
    process.stderr.write(`bench: there is a lab "${taken}" already: ${advice}\n`);
    return 1;
  }
  try {
    return await Promise.race([interruption(), bench(options)]);
  } catch (error) {
    process.stderr.write(`bench: ${messageOf(error)}\n`);
    return error instanceof Interruption ? 130 : 1;
  } finally {
    for (const name of Object.values(labNames)) await takeDown(name);
  }
}

async function bench(options: BenchOptions): Promise<number> {
  const beds = makeBeds(options);
  const rows: Row[] = [];
  let isComplete = true;
  for (const plan of plans.filter(({ name }) => options.only.includes(name))) {
    if (plan.obstacle !== null) {
      say(`${plan.name}: not measured: ${plan.obstacle}`);
      continue;
    }
    try {
      const row = await measurePlan(plan, beds, options.rounds, say, interrupted.signal);
      rows.push(row);
      isComplete &&= row.failures.length === 0;
    } catch (error) {
      interrupted.signal.throwIfAborted();
      isComplete = false;
      say(`${plan.name}: not measured: ${messageOf(error)}`);
    }
  }
  const profiles: Profile[] = [];
  try {
    if (options.only.includes(profileName)) await profile(beds, options, profiles);
  } catch (error) {
    interrupted.signal.throwIfAborted();
    isComplete = false;
    say(`${profileName}: not measured: ${messageOf(error)}`);
  }
  const result = describe(options, await beds.three(), rows, profiles);
  say();
  say(formatResult(result));
  if (options.json) writeFileSync(options.json, `${JSON.stringify(result, null, 2)}\n`);
  if (options.document) writeFileSync(options.document, writeInto(readFileSync(options.document, 'utf8'), result));
  return isComplete ? 0 : 1;
}

function makeBeds({ isQuick }: BenchOptions): Beds {
  const made = new Map<keyof Beds, Promise<Bed>>();
  const get = (key: keyof Beds, nodes: number): Promise<Bed> => {
    const size = isQuick ? largeBytes.quick : largeBytes.usual;
    const bed = made.get(key) ?? Bed.make({ name: labNames[key], nodes, largeBytes: size }, say);
    made.set(key, bed);
    return bed;
  };
  return { three: () => get('three', 3), seven: () => get('seven', 7) };
}

/** Adds to `profiles`. Runs last, because it leaves the lab with another Temporal. */
async function profile(beds: Beds, { rounds }: BenchOptions, profiles: Profile[]): Promise<void> {
  const bed = await beds.three();
  profiles.push(await profileRounds(bed, rounds, 'A failover, Temporal’s development server on SQLite'));
  const programs = findTemporalServer();
  if (programs) {
    await bed.moveTemporalToPostgres(programs);
    profiles.push(await profileRounds(bed, rounds, 'A failover, Temporal on PostgreSQL'));
  } else say('profile with Temporal on PostgreSQL: not measured: no Temporal server was built');
}

async function profileRounds(bed: Bed, rounds: number, title: string): Promise<Profile> {
  const measured = [];
  for (let round = 0; round < rounds; round++) {
    const stages = await runProfileRound(bed);
    measured.push(stages);
    say(`${title}, round ${round + 1}: ${totalOf(stages).toFixed(0)} ms`);
  }
  return { title, rounds, stages: medianStages(measured) };
}

function describe(options: BenchOptions, { lab }: Bed, rows: readonly Row[], profiles: readonly Profile[]): Result {
  return {
    command: options.command,
    date: new Date().toISOString().slice(0, 10),
    machine: {
      cores: os.cpus().length,
      memoryGigabytes: Math.round(os.totalmem() / 1024 ** 3),
      system: `Linux ${os.release()}`,
    },
    versions: { ...lab.versions, node: process.versions.node },
    rows,
    profiles,
  };
}

class Interruption extends Error {}

async function interruption(): Promise<never> {
  return await new Promise((_, reject) => {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.once(name, () => {
        const interruption = new Interruption(`interrupted by ${name}`);
        interrupted.abort(interruption);
        reject(interruption);
      });
    }
  });
}

void main(process.argv.slice(2))
  .catch((error: unknown) => {
    process.stderr.write(`bench: ${messageOf(error)}\n`);
    return 1;
  })
  .then((exitCode) => {
    process.exit(exitCode);
  });
