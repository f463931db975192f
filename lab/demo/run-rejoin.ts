// A rejoin as an act of the demo: the stopped former primary comes back through the code of `pgpool-runbook rejoin`,
// while clients go on writing; then what it runs with, and what was left behind.

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
/** So that there is a progress to be seen: the demo's 23 MB would be there within a second. */
const maximumRateKilobytes = 8192;
const ownSettings = ['cluster_name', 'listen_addresses', 'port'];

/** Settings that every node has its own value of, by name. */
export type OwnSettings = Readonly<Record<string, string>>;

export interface RejoinRun {
  readonly node: number;
  readonly report: IncidentReport;
  /** What the incident says about the node; null when it says nothing. */
  readonly follow: FollowReport | null;
  /** The command's, and what it printed. */
  readonly exitCode: number;
  readonly answer: string;
  readonly acknowledged: number;
  readonly longestPauseMs: number;
  /** In force before it failed, and now. */
  readonly settings: { readonly before: OwnSettings; readonly after: OwnSettings };
  /** What should be gone and is not: paths. */
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
  // With repoint, a node that holds nothing past the fork would only be started.
  setPolicy(lab, { baseBackup: { maximumRateKilobytes, compression: 'none' }, follow: ['rebuild'] });
  const written = workload.journal.acknowledged.length;
  const since = performance.now();
  const { report, web, done } = await watchIncident(stage, {
    line: `pgpool-runbook rejoin ${node} --config ${lab.clusterFile}`,
    opener: 'the command',
    limitMs: rejoinMs,
    act: (say) =>
      rejoin(String(node), { config: lab.clusterFile, wait: true }, (line) => {
        // Not what is under way: that is shown when it ends. But a step that waits for a person is.
        if (!/^(incident|node [0-9]+):/.test(line)) say(line);
      }),
  });
  // The next failover's standby is to be repointed.
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

/** Job directories, the fresh copy, the marks of an unfinished rebuild. What was replaced is kept by policy. */
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
