// What the demo says. Plain lines; colour only where a terminal wants it (picocolors respects NO_COLOR).

import pc from 'picocolors';
import type { Lab, LabReport } from '../lab';
import type { DemoResult } from './judge';
import type { FailoverRun } from './run-failover';

type Say = (line?: string) => void;

export function describeNodes(lab: Lab, report: LabReport): string {
  const lines = report.nodes.map((node) => {
    const role =
      node.isInRecovery === null ? pc.red('does not answer') : node.isInRecovery ? 'standby' : pc.green('primary');
    const position = node.timeline === null ? '' : `, timeline ${String(node.timeline)}, ${node.lsn ?? '?'}`;
    const from = node.streamingFrom === null ? '' : `, streams from node ${String(node.streamingFrom)}`;
    return `  node ${String(node.id)}  ${node.address}  ${role}${position}${from}`;
  });
  return [`topology (pgpool ${lab.pgpool.host}:${String(lab.pgpool.port)})`, ...lines].join('\n');
}

export function printPcp(say: Say, title: string, report: LabReport): void {
  say(title);
  for (const entry of report.backends) {
    if ('error' in entry) say(`  node ${String(entry.id)}  ${pc.red(entry.error)}`);
    else
      say(
        `  node ${String(entry.id)}  ${entry.status.padEnd(8)} ${entry.role.padEnd(8)} (the node itself: ${entry.pgRole})`,
      );
  }
}

export function printVerdict(say: Say, result: DemoResult, run: FailoverRun): void {
  const { json, problems } = result;
  const ms = (value: number | null): string => (value === null ? 'not measured' : `${String(value)} ms`);
  say();
  say(`incident: ${json.failover.outcome}: ${run.report.line}`);
  say(`outage that clients saw (longest gap between acknowledged writes): ${pc.bold(ms(json.failover.outageMs))}`);
  say(
    `hook, from pgpool's call to its end: ${ms(json.failover.hookMs)}; from the call to a writable primary: ${ms(json.failover.hookToWritableMs)}`,
  );
  for (const follow of json.follow) {
    say(`follow: node ${String(follow.node)} by ${follow.rung}, ${follow.outcome}, ${ms(follow.ms)}`);
  }
  say(
    `writes: ${String(json.writes.acknowledged)} acknowledged, ${String(json.writes.lost)} of them lost (each id looked up on the new primary)`,
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
  for (const problem of problems) say(pc.red(`NOT PROVEN: ${problem}`));
  if (problems.length === 0)
    say(
      pc.green(
        'proven: the most advanced standby was promoted, one node is writable, the other standby follows, pgpool agrees',
      ),
    );
}
