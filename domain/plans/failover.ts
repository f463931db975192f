// Plans a failover from facts: pure, no clock, no I/O. The event's numbers are hints; evidence decides.

import { type ClusterConfiguration, findNode, getNode } from '../facts/cluster';
import { chooseCandidate } from './candidate';
import { findNewerRival } from './last-sample';
import { type FailoverPlan, type FailoverRequest, refuse } from './failover-request';
import { planWithTwoPrimaries, refuseStalePrimary } from './rival-primaries';
import { planWithoutPrimary } from './lost-primary';
import { pauseInstead } from './pause';
import { findRecord, findRivalOfRecord } from './record';
import type { ClusterRecord } from '../facts/record';
import { findAbroad, suspectPrimary } from './suspect';
import { judgePrimary } from './primary-state';
import { answeringStandbys, factsOf, type Facts, type NodeFacts, writableNodes } from '../facts/facts';

/** The plan for the primary. The same function plans before and after the fence. */
export function planFailover(
  configuration: ClusterConfiguration,
  facts: Facts,
  request: FailoverRequest,
): FailoverPlan {
  const plan = planByEvidence(configuration, facts, request);
  return pauseInstead(facts, plan) ?? plan;
}

function planByEvidence(configuration: ClusterConfiguration, facts: Facts, asked: FailoverRequest): FailoverPlan {
  const record = findRecord(configuration, facts);
  const rival = record && findRivalOfRecord(facts, record, asked.opened);
  const request = record ? recall(record, asked) : asked;
  for (const hint of [request.failedNode, request.oldPrimary, request.fencedNode]) {
    if (hint !== null && !findNode(configuration, hint)) {
      return refuse(
        'node-not-configured',
        `node ${hint} is not in the cluster file of ${configuration.cluster}: the node numbers of pgpool.conf and the cluster file must agree`,
      );
    }
  }
  // Until a person has said which of the two is right, no node is stopped for either.
  if (rival) return refuseRival(rival, record);
  const writable = writableNodes(facts);
  if (writable.length > 1) return planWithTwoPrimaries(configuration, facts, writable, request);
  const [living] = writable;
  if (living) {
    const newer = findNewerRival(facts, living);
    if (newer) return refuseBeside(living, newer);
    const stale = refuseStalePrimary(configuration, facts, living, request);
    return stale ?? planWithLivingPrimary(facts, living.node, request);
  }
  const suspect = suspectPrimary(configuration, facts, request);
  if (suspect === null) return planWithStandbysOnly(configuration, facts, request);
  const { host, port } = getNode(configuration, suspect);
  const judgement = judgePrimary(facts, suspect, { host, port }, request.sinceEventMs);
  return planWithoutPrimary(configuration, facts, request, suspect, judgement);
}

/** Adds the recorded promotion: a timeline that we opened stays ours in later incidents. */
function recall({ openedBy, primary: node, timeline }: ClusterRecord, request: FailoverRequest): FailoverRequest {
  return openedBy === 'us' ? { ...request, opened: [{ node, timeline }, ...request.opened] } : request;
}

function refuseRival({ node }: NodeFacts, { primary, timeline, since, by }: ClusterRecord): FailoverPlan {
  const line = `node ${node} accepts writes, but the record says that node ${primary}, which does not answer, is the primary on timeline ${timeline} since ${since} (${by}); nothing is stopped: if node ${node} is right, pgpool-runbook record accept ${node}; if not, stop it and start node ${primary}`;
  return refuse('accept-primary', line);
}

function planWithLivingPrimary(facts: Facts, primary: number, request: FailoverRequest): FailoverPlan {
  const failed = request.failedNode;
  if (failed === primary) {
    return {
      action: 'keep',
      primary,
      reason: 'primary-kept',
      line: `node ${primary} answers queries as the primary, whatever pgpool saw: it is kept as the primary`,
    };
  }
  if (failed !== null && failed === request.oldPrimary) {
    return {
      action: 'keep',
      primary,
      reason: 'already-failed-over',
      line: `node ${primary} is the primary already; node ${failed} no longer is`,
    };
  }
  if (failed !== null && factsOf(facts, failed)?.sql !== 'answered') {
    return {
      action: 'keep',
      primary,
      reason: 'standby-failed',
      line: `standby node ${failed} failed; the primary, node ${primary}, works`,
    };
  }
  return { action: 'keep', primary, reason: 'primary-working', line: `node ${primary} works as the primary` };
}

/**
 * Every configured node answers as a standby. If a fence of ours made one so, its failover did not end, and the node
 * with the most WAL can be promoted without loss, even the former primary. A cluster that follows another cluster has
 * no primary of its own.
 */
function planWithStandbysOnly(
  configuration: ClusterConfiguration,
  facts: Facts,
  request: FailoverRequest,
): FailoverPlan {
  const standbys = answeringStandbys(facts);
  const abroad = findAbroad(configuration, facts);
  const fenced = standbys.find(({ fenceMark }) => fenceMark === 'before-promotion' || fenceMark === 'after-return');
  const recorded = findRecord(configuration, facts);
  if (standbys.length < configuration.nodes.length || abroad || (!fenced && !recorded)) {
    const why = abroad
      ? `node ${abroad.node} follows a host outside the cluster file`
      : 'no evidence names the former primary';
    return refuse('primary-unknown', `no node accepts writes and ${why}: start the right node by hand`);
  }
  const choice = chooseCandidate(configuration, facts, { ...request, formerPrimary: null });
  if ('refusal' in choice) return refuse(choice.refusal, choice.line);
  const why = fenced
    ? `node ${fenced.node} was fenced`
    : `node ${String(recorded?.primary)} was the primary, by the record`;
  const line = `every node is a standby and ${why}: ${choice.line}`;
  return { action: 'promote', ...choice, formerPrimary: null, state: 'dead', needsFence: false, line };
}

/** Only the worker's way to the other one may be broken. */
function refuseBeside({ node, position }: NodeFacts, newer: { node: number; timeline: number }): FailoverPlan {
  const line = `node ${node} accepts writes on timeline ${String(position?.timeline)}, and node ${newer.node}, which does not answer, accepted writes on timeline ${newer.timeline} and was served by pgpool at the last look of the watch: stop the wrong one, on its host`;
  return refuse('two-primaries', line);
}
