// The demo's three acts: a failover, the former primary's rejoin, another failover. Each needs the result of the one
// before, so an act that is not proven is the last.

import type { LabReport } from '../lab';
import type { Workload } from '../workload';
import {
  type DemoJson,
  type FailoverJson,
  type FollowRow,
  type Judged,
  judgeFailover,
  judgeRejoin,
  summarize,
} from './judge';
import { printCluster, printFailover, printHeading, printProof, printRejoin } from './print';
import { runFailover, startLoad } from './run-failover';
import { type OwnSettings, readOwnSettings, runRejoin } from './run-rejoin';
import type { Stage } from './watch-incident';

export async function play(stage: Stage): Promise<Judged<DemoJson>> {
  const { lab, say } = stage;
  const before = await lab.report();
  printCluster(say, lab, before, 'before');
  const former = findPrimary(before);
  const settings = await readOwnSettings(lab, former);

  printHeading(say, `1. The primary, node ${former}, fails`);
  const first = await playFailover(stage, before, await startLoad(stage));
  if (first.problems.length > 0) return summarize(lab.versions, first, null, null);

  printHeading(
    say,
    `2. Node ${former} comes back. To show a rebuild, policy.follow is set to rebuild alone: its data is replaced by a copy (at 8 MB/s, to be watched)`,
  );
  const workload = await startLoad(stage);
  const rejoin = await playRejoin(stage, former, settings, workload);
  if (rejoin.problems.length > 0) return summarize(lab.versions, first, rejoin, null);

  printHeading(say, `3. The new primary, node ${findPrimary(rejoin.after)}, fails, too`);
  const second = await playFailover(stage, rejoin.after, workload);
  return summarize(lab.versions, first, rejoin, second);
}

async function playFailover(stage: Stage, before: LabReport, workload: Workload): Promise<Judged<FailoverJson>> {
  const { lab, say } = stage;
  const run = await runFailover(stage, findPrimary(before), workload);
  const after = await lab.report();
  printCluster(say, lab, after, 'after');
  const judged = judgeFailover(before, run, after);
  printFailover(say, judged.json, run);
  const proof =
    'the most advanced standby was promoted, one node is writable, the other standby follows, pgpool agrees';
  printProof(say, judged.problems, proof);
  return judged;
}

async function playRejoin(
  stage: Stage,
  node: number,
  settings: OwnSettings,
  workload: Workload,
): Promise<Judged<readonly FollowRow[]> & { readonly after: LabReport }> {
  const { lab, say } = stage;
  const run = await runRejoin(stage, node, settings, workload);
  const after = await lab.report();
  printCluster(say, lab, after, 'after');
  const judged = judgeRejoin(run, after);
  printRejoin(say, run);
  const name = `node ${node}`;
  const proof = `${name} streams from the primary on its timeline, pgpool uses all nodes, ${name} has its own settings, nothing is left over`;
  printProof(say, judged.problems, proof);
  return { ...judged, after };
}

function findPrimary(report: LabReport): number {
  const primary = report.nodes.find((node) => node.isInRecovery === false);
  if (!primary) throw new Error('no node accepts writes');
  return primary.id;
}
