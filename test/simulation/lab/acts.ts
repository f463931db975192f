// The model's deeds on a real lab: the same deed, to the same node.

import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import {
  PcpFailure,
  type PcpOptions,
  type PcpTarget,
  requestDetach,
  requestPromote,
} from '../../../activities/io/pcp/pcp';
import { incidentStart, incidentWorkflowId } from '../../../domain/facts/names';
import { getNodeLayout, stopPostgres } from '../../../lab/postgres';
import { findPostgresProcesses, killAll, readRecord, sendSignal } from '../../../lab/processes';
import { readRows, runHook, type Scenario, until } from '../../lab/scenarios/support';
import type { DeedName } from '../deeds';
import type { Deed } from './on-model';

type Act = (scenario: Scenario, deed: Deed) => Promise<void>;

const root = join(__dirname, '..', '..', '..');

/** The built program, as a person calls it. */
async function command({ lab }: Scenario, ...args: readonly string[]): Promise<void> {
  const program = join(root, 'client', 'pgpool-runbook.js');
  await promisify(execFile)(process.execPath, [program, ...args, '--config', lab.clusterFile]);
}

async function crash({ lab }: Scenario, { node }: Deed): Promise<void> {
  const { directory } = getNodeLayout(lab.layout, node);
  await killAll(() => findPostgresProcesses(directory), `node ${node}`);
}

async function sql(scenario: Scenario, node: number, ...statements: readonly string[]): Promise<void> {
  for (const statement of statements) await readRows(scenario, node, statement);
}

type Request = (target: PcpTarget, node: number, options: PcpOptions) => Promise<void>;

/** PCP restarts now and then by itself, and then answers nothing; it rejects what it has done already. */
async function ask({ lab }: Scenario, request: Request, node: number): Promise<void> {
  await until('pgpool takes the request', () =>
    request(lab.configuration.pgpool[0]!, node, { timeoutMs: 3000 }).then(
      () => true,
      (error: unknown) => {
        if (error instanceof PcpFailure && error.kind === 'rejected') return true;
        throw error;
      },
    ),
  );
}

const hook: Act = async (scenario, { event }) => {
  const { kind, node, mainNode, oldPrimary } = event!;
  const words = [node, mainNode, oldPrimary].map((id) => String(id ?? -1));
  await runHook(scenario, kind, ...words);
};

const acts: Partial<Record<DeedName, Act>> = {
  crash,
  stop: ({ lab: { layout } }, { node }) => stopPostgres(layout, getNodeLayout(layout, node), 'fast'),
  start: ({ lab }, { node }) => lab.start(node),
  restart: async ({ lab }, { node, entry }) => {
    await stopPostgres(lab.layout, getNodeLayout(lab.layout, node), 'fast');
    await delay(Math.min(entry.ms, 5000));
    await lab.start(node);
  },
  hang: ({ lab }, { node }) => lab.freeze(node),
  thaw: ({ lab }) => {
    for (const { id } of lab.configuration.nodes) lab.thaw(id);
    return Promise.resolve();
  },
  vanish: ({ lab }, { node }) => lab.dropHost(node),
  heal: ({ lab }, { node }) => lab.restoreHost(node),
  wipe: ({ lab }, { node }) => rm(getNodeLayout(lab.layout, node).dataDirectory, { recursive: true }),
  pgpoolDies: ({ lab }) => lab.stopPgpool(),
  pgpoolReturns: ({ lab }) => lab.startPgpool(),
  detach: (scenario, { node }) => ask(scenario, requestDetach, node),
  promoteView: (scenario, { node }) => ask(scenario, requestPromote, node),
  promoteByHand: (scenario, { node }) => sql(scenario, node, 'select pg_promote(false)'),
  pauseReplay: async (scenario, { node }) => {
    const [row] = await readRows<{ paused: boolean }>(scenario, node, 'select pg_is_wal_replay_paused() as paused');
    await sql(scenario, node, `select pg_wal_replay_${row?.paused ? 'resume' : 'pause'}()`);
  },
  delay: (scenario, { node, value }) =>
    sql(scenario, node, `alter system set recovery_min_apply_delay = ${value}`, 'select pg_reload_conf()'),
  setNames: (scenario, { node, value }) =>
    sql(scenario, node, `alter system set synchronous_standby_names = '${value}'`, 'select pg_reload_conf()'),
  pause: (scenario) => command(scenario, 'maintenance', 'start', '--reason', 'a test'),
  resume: (scenario) => command(scenario, 'maintenance', 'stop'),
  maintain: (scenario, { node }) => command(scenario, 'maintenance', 'start', String(node), '--reason', 'a test'),
  release: (scenario, { node }) => command(scenario, 'maintenance', 'stop', String(node)),
  rejoin: (scenario, { node }) => command(scenario, 'rejoin', String(node), '--no-wait'),
  answer: (scenario, { answer }) => {
    const incident = incidentWorkflowId(scenario.lab.configuration.cluster);
    return command(scenario, 'decide', incident, answer!.stepId, answer!.choice, '--reason', 'a test');
  },
  falseFailover: hook,
  falseFollow: hook,
  falseReturn: async ({ lab, temporal }, { event }) => {
    await temporal.workflow.signalWithStart('incident', incidentStart(lab.configuration, event!));
  },
};

export async function doOnLab(scenario: Scenario, deed: Deed): Promise<void> {
  const { node, left, entry } = deed;
  const act = acts[entry.what];
  if (!act) throw new Error(`no lab can do ${entry.what}`);
  const held = left ? await writeTail(scenario, node, left) : [];
  await act(scenario, deed);
  if (entry.what === 'vanish') for (const pid of held) sendSignal(readRecord(pid)!, 'SIGCONT');
}

/** Commits that these followers do not get, and the others do; returns the senders that were stopped for it. */
async function writeTail(scenario: Scenario, primary: number, left: readonly number[]): Promise<number[]> {
  type Sender = { pid: number; name: string };
  const query = 'select pid, application_name as name from pg_stat_replication';
  const senders = await readRows<Sender>(scenario, primary, query);
  const held = senders.filter(({ name }) => left.some((id) => name === `node${id}`)).map(({ pid }) => pid);
  for (const pid of held) sendSignal(readRecord(pid)!, 'SIGSTOP');
  const insert = 'create table if not exists tail (id int); insert into tail values (1)';
  // A synchronous set does not hold these up.
  for (let count = 0; count < 10; count += 1) await sql(scenario, primary, `set synchronous_commit = local; ${insert}`);
  await until('the other followers hold the last commits', async () => {
    const behind = `select pid from pg_stat_replication where pid <> all($held) and replay_lsn < pg_current_wal_lsn()`;
    return (await readRows(scenario, primary, behind.replace('$held', `'{${held.join()}}'::int[]`))).length === 0;
  });
  return held;
}
