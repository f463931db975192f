// A plot on a real lab: the deeds that the model has done, each when the cluster has come to rest as the model did, or as it stays.

import { Client, Connection } from '@temporalio/client';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../../activities/io/failures';
import { clusterWorkflowId } from '../../../domain/facts/names';
import type { Recorded } from '../../../domain/facts/record';
import { up } from '../../../lab/lab';
import { setPolicy } from '../../../lab/policy';
import { waitFor } from '../../../lab/wait';
import { Workload } from '../../../lab/workload';
import { recordedQuery } from '../../../workflows/messages';
import { pgpoolLog, readRows, type Scenario } from '../../lab/scenarios/support';
import type { Topology } from '../schedule';
import { doOnLab } from './acts';
import type { LabPlot } from './draw';
import { describeEnd, type End } from './end';
import { Incidents } from './incidents';
import { lookAtLab } from './look-at-lab';
import type { Deed, Played } from './on-model';

export interface Compared {
  /** The difference between lab and model in words; null = they agree. */
  readonly differs: { readonly step: number; readonly model: End; readonly lab: End | null } | null;
  readonly story: readonly string[];
}

/** Agreement must last for so long. */
const agreedMs = 6000;
/** Longer than whatever the product waits for before it looks, or tells, again. */
const unchangedMs = 65_000;
const longestMs = 150_000;
const pgpoolLines = 150;

export async function playOnLab(name: string, { topology, policy }: LabPlot, played: Played): Promise<Compared> {
  const lab = await up({ name, nodes: topology.configuration.nodes.length });
  let [connection, workload]: [Connection | null, Workload | null] = [null, null];
  try {
    setPolicy(lab, policy);
    connection = await Connection.connect({ address: lab.temporal.address });
    const temporal = new Client({ connection, namespace: lab.temporal.namespace });
    workload = new Workload({ connection: lab.connection('pgpool'), table: 'simulated', writers: 1, pauseMs: 200 });
    await workload.start();
    const scenario = { lab, workload, temporal };
    await prepare(scenario, topology);
    await untilRecorded(scenario);
    return await playSteps(scenario, played);
  } finally {
    await workload?.stop().catch(() => undefined);
    await connection?.close();
    await lab.down();
  }
}

/** Senders and receivers wait for each other no longer than the model's. */
async function prepare(scenario: Scenario, { isSynchronous }: Topology): Promise<void> {
  const { nodes } = scenario.lab.configuration;
  const statements = ['sender', 'receiver'].map((who) => `alter system set wal_${who}_timeout = '10s'`);
  const names = nodes.slice(1).map(({ id }) => `"node${id}"`);
  // Every node of the model has a copy of the set.
  if (isSynchronous) statements.push(`alter system set synchronous_standby_names = 'ANY 1 (${names.join(', ')})'`);
  for (const { id } of nodes)
    for (const statement of [...statements, 'select pg_reload_conf()']) await readRows(scenario, id, statement);
}

/** The plots begin with a record. */
async function untilRecorded({ lab, temporal }: Scenario): Promise<void> {
  const handle = temporal.workflow.getHandle(clusterWorkflowId(lab.configuration.cluster));
  const isRecorded = async (): Promise<boolean> => (await handle.query<Recorded>(recordedQuery)).record?.primary === 0;
  await waitFor(isRecorded, { what: 'a record of the new cluster', timeoutMs: 150_000, intervalMs: 500 });
}

async function playSteps(scenario: Scenario, { begin, steps }: Played): Promise<Compared> {
  const story: string[] = [];
  const startedAt = performance.now();
  const tell = (line: string): void => {
    story.push(`${((performance.now() - startedAt) / 1000).toFixed(2).padStart(8)} s  ${line}`);
  };
  const incidents = new Incidents(scenario, tell);
  const first = await untilAtRest(scenario, incidents, begin, tell);
  if (first !== 'agrees') return { differs: { step: -1, model: begin, lab: first }, story };
  for (const [index, { deed, end }] of steps.entries()) {
    await incidents.forgetClosed();
    tell(`* ${deed.told}`);
    const isDone = await doDeed(scenario, deed, tell);
    const seen = isDone ? await untilAtRest(scenario, incidents, end, tell) : null;
    if (seen === 'agrees') continue;
    return {
      differs: { step: index, model: end, lab: seen },
      story: [...story, '--- pgpool', ...readPgpoolLog(scenario)],
    };
  }
  return { differs: null, story };
}

/** Without what its clients and PCP are told all the time. */
function readPgpoolLog(scenario: Scenario): string[] {
  const isNoise = (line: string): boolean => /pcp|PCP|frontend|message: "|socket read failed/.test(line);
  const lines = pgpoolLog(scenario).trimEnd().split('\n');
  return lines.filter((line) => !isNoise(line)).slice(-pgpoolLines);
}

async function doDeed(scenario: Scenario, deed: Deed, tell: (line: string) => void): Promise<boolean> {
  try {
    await doOnLab(scenario, deed);
    return true;
  } catch (error) {
    tell(`  the lab cannot do that: ${messageOf(error)}`);
    return false;
  }
}

/** `agrees`, or what the lab shows and goes on to show. */
async function untilAtRest(
  scenario: Scenario,
  incidents: Incidents,
  wanted: End,
  tell: (line: string) => void,
): Promise<'agrees' | End | null> {
  const from = performance.now();
  let [last, text, since]: [End | null, string, number] = [null, '', from];
  const goal = describeEnd(wanted);
  for (;;) {
    const now = performance.now();
    const { isAtWork, verdict, parked } = await incidents.look();
    const seen = await lookAtLab(scenario, { verdict, parked });
    const seenText = seen ? describeEnd(seen) : 'pgpool does not tell';
    if (seenText !== text) {
      tell(seenText);
      [last, text, since] = [seen, seenText, now];
    } else if (!isAtWork && text === goal && now - since > agreedMs) return 'agrees';
    else if (!isAtWork && text !== goal && now - since > unchangedMs) return last;
    if (now - from > longestMs) return last;
    await delay(500);
  }
}
