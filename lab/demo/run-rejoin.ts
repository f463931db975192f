// A rejoin as an act of the demo: the stopped former primary comes back through the code of `pgpool-runbook rejoin`,
// while clients go on writing; then its settings and leftovers are checked.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { jobsDirectory } from '../../activities/io/host/act';
import { linksFile } from '../../activities/io/host/rebuild-acts';
import { rejoin } from '../../client/commands/rejoin';
import { getNode } from '../../domain/facts/cluster';
import type { FollowReport } from '../../domain/facts/outcome';
import { freshSuffix, rebuildMarkName } from '../../domain/facts/data-directory';
import type { IncidentReport } from '../../workflows/messages';
import type { Lab } from '../lab';
import { setPolicy } from '../policy';
import { longestGapMs, type Workload } from '../workload';
import { type Stage, watchIncident } from './watch-incident';

const rejoinMs = 120_000;
/** A limit, so that progress can be seen: the demo's 23 MB would be copied within a second. */
const maximumRateKilobytes = 8192;
const ownSettings = ['cluster_name', 'listen_addresses', 'port'];

/** Settings with a value of its own on every node, by name. */
export type OwnSettings = Readonly<Record<string, string>>;

export interface RejoinRun {
  readonly node: number;
  readonly report: IncidentReport;
  /** The incident's report about the node; null without one. */
  readonly follow: FollowReport | null;
  /** The command's exit code and output. */
  readonly exitCode: number;
  readonly answer: string;
  readonly acknowledged: number;
  readonly longestPauseMs: number;
  /** Settings in force before the failure, and now. */
  readonly settings: { readonly before: OwnSettings; readonly after: OwnSettings };
  /** Paths that should be gone and are not. */
  readonly leftovers: readonly string[];
  readonly web: string;
}

/** `before` = readOwnSettings, while the node was well. */
export async function runRejoin(
  stage: Stage,
  node: number,
  before: OwnSettings,
  workload: Workload,
): Promise<RejoinRun> {
  const { lab } = stage;
  const { follow: ways } = lab.configuration.policy;
  // Rebuild only: with repoint, a node that holds nothing past the fork would just be started.
  setPolicy(lab, { baseBackup: { maximumRateKilobytes, compression: 'none' }, follow: ['rebuild'] });
  const written = workload.journal.acknowledged.length;
  const since = performance.now();
  const { report, web, done } = await watchIncident(stage, {
    line: `pgpool-runbook rejoin ${node} --config ${lab.clusterFile}`,
    opener: 'the command',
    limitMs: rejoinMs,
    act: (say) =>
      rejoin(String(node), { config: lab.clusterFile, wait: true }, (line) => {
        // Skip work in progress, which is shown at its end; show steps that wait for a person.
        if (!/^(incident|node [0-9]+):/.test(line)) say(line);
      }),
  });
  // In the next failover the standby must be repointed.
  setPolicy(lab, { follow: ways });
  const follow = report.follows.find((entry) => entry.node === node) ?? null;
  return {
    ...{ node, report, follow, web },
    exitCode: done.exitCode,
    answer: done.lines.join('; '),
    acknowledged: workload.journal.acknowledged.length - written,
    longestPauseMs: Math.round(longestGapMs(workload.journal, since)),
    settings: { before, after: await readOwnSettings(lab, node).catch(() => ({})) },
    leftovers: findLeftovers(lab, node),
  };
}

export async function readOwnSettings(lab: Lab, node: number): Promise<OwnSettings> {
  const client = new Client(lab.connection(node));
  client.on('error', () => undefined);
  try {
    await client.connect();
    const text = 'select name, setting from pg_settings where name = any($1)';
    const { rows } = await client.query<{ name: string; setting: string }>(text, [ownSettings]);
    return Object.fromEntries(rows.map(({ name, setting }) => [name, setting]));
  } finally {
    await client.end();
  }
}

/** Job directories, the fresh copy and the marks of an unfinished rebuild. The replaced data stays, by policy. */
function findLeftovers(lab: Lab, id: number): string[] {
  const node = getNode(lab.configuration, id);
  const jobs = jobsDirectory(lab.configuration, node);
  const files = [
    `${node.dataDirectory}${freshSuffix}`,
    join(node.dataDirectory, rebuildMarkName),
    linksFile(lab.configuration, node),
  ];
  const left = existsSync(jobs) ? readdirSync(jobs).map((name) => join(jobs, name)) : [];
  return [...left, ...files.filter((file) => existsSync(file))];
}
