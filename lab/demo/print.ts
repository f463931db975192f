// The demo's output about its measurements. Plain lines; colour only where a terminal wants it (picocolors respects
// NO_COLOR).

import pc from 'picocolors';
import type { Lab, LabReport } from '../lab';
import type { DemoJson, FailoverJson, Judged } from './judge';
import type { FailoverRun } from './run-failover';
import type { RejoinRun } from './run-rejoin';
import type { Say } from './watch-incident';

export function printHeading(say: Say, text: string): void {
  say();
  say(pc.bold(text));
}

export function printCluster(say: Say, lab: Lab, report: LabReport, when: string): void {
  say();
  say(`topology ${when} (pgpool ${lab.pgpool.host}:${lab.pgpool.port})`);
  for (const node of report.nodes) {
    const role =
      node.isInRecovery === null ? pc.red('does not answer') : node.isInRecovery ? 'standby' : pc.green('primary');
    const position = node.timeline === null ? '' : `, timeline ${node.timeline}, ${node.lsn ?? '?'}`;
    const from = node.streamingFrom === null ? '' : `, streams from node ${node.streamingFrom}`;
    say(`  node ${node.id}  ${node.address}  ${role}${position}${from}`);
  }
  say(`PCP node info ${when}`);
  for (const entry of report.backends) {
    if ('error' in entry) say(`  node ${entry.id}  ${pc.red(entry.error)}`);
    else
      say(`  node ${entry.id}  ${entry.status.padEnd(8)} ${entry.role.padEnd(8)} (the node itself: ${entry.pgRole})`);
  }
}

export function printFailover(say: Say, json: FailoverJson, run: FailoverRun): void {
  say();
  say(`incident: ${run.report.outcome}: ${run.report.line}`);
  say(`outage that clients saw (longest gap between acknowledged writes): ${pc.bold(ms(json.failover.outageMs))}`);
  say(
    `hook, from pgpool's call to its end: ${ms(json.failover.hookMs)}; from the call to a writable primary: ${ms(json.failover.hookToWritableMs)}`,
  );
  for (const follow of json.follow) {
    say(`follow: node ${follow.node} by ${follow.rung}, ${follow.outcome}, ${ms(follow.ms)}`);
  }
  say(
    `writes: ${json.writes.acknowledged} acknowledged, ${json.writes.lost} of them lost (each id looked up on the new primary)`,
  );
  if (run.lost.length > 0) {
    say(
      `  lost ids: ${run.lost.join(', ')}; ${run.lostButHeld.length === 0 ? 'no standby holds any of them' : 'A STANDBY HOLDS SOME'}`,
    );
  }
  say(
    '  replication is asynchronous: a write that no standby had received when the primary stopped is lost, however good the failover',
  );
  say(`incident in Temporal Web: ${json.web}`);
}

export function printRejoin(say: Say, run: RejoinRun): void {
  const { follow, settings } = run;
  say();
  say(`the command's answer: ${run.answer}`);
  if (follow) say(`rejoin: node ${run.node} by ${follow.rung}, ${follow.outcome}, ${ms(follow.ms)}`);
  const own = Object.entries(settings.after).map(([name, value]) => `${name} = ${value}`);
  say(`settings in force on node ${run.node}: ${own.join(', ')}`);
  say(`clients wrote meanwhile: ${run.acknowledged} writes acknowledged, longest pause ${ms(run.longestPauseMs)}`);
  say(`incident in Temporal Web: ${run.web}`);
}

/** Says `proven` in green if there are no problems, else each of them in red. */
export function printProof(say: Say, problems: readonly string[], proven: string): void {
  for (const problem of problems) say(pc.red(`NOT PROVEN: ${problem}`));
  if (problems.length === 0) say(pc.green(`proven: ${proven}`));
}

/** All acts at a glance, and whether they were proven. */
export function printSummary(say: Say, { json, problems }: Judged<DemoJson>): void {
  printHeading(say, 'Summary');
  const failover = (name: string, { failover: { outcome, candidate, outageMs }, writes }: FailoverJson): void => {
    const primary = candidate === null ? 'no primary' : `node ${candidate} is the primary`;
    const lost = `${writes.lost} of ${writes.acknowledged} acknowledged writes lost`;
    say(`${name}: ${outcome}, ${primary}, outage ${ms(outageMs)}, ${lost}`);
  };
  failover('first failover', json);
  for (const { node, rung, outcome, ms: tookMs } of json.rejoin)
    say(`rejoin: node ${node} by ${rung}, ${outcome}, ${ms(tookMs)}`);
  if (json.second) failover('second failover', json.second);
  if (problems.length === 0) say(pc.green('proven: every act, as shown above'));
  else say(pc.red('NOT PROVEN: the act shown last; the reasons are above'));
}

function ms(value: number | null): string {
  return value === null ? 'not measured' : `${value} ms`;
}
