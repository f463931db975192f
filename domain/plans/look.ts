// How far a look must go, once every node was asked directly: pure, so that the simulation takes the same shortcuts.

import { type ClusterConfiguration, findNode } from '../facts/cluster';
import { answeringStandbys, factsOf, type Facts, writableNodes } from '../facts/facts';
import { findRecord } from './record';
import { findHeir, findSuccessors } from './rival-primaries';
import { suspectPrimary } from './suspect';

/** For whom the look is. */
export interface LookPurpose {
  /** The primary as far as the caller knows: looked at through ssh and, when silent, through the standbys' hosts. */
  readonly suspect: number | null;
  /** Every pgpool is asked, whatever the nodes say: for people. */
  readonly isWhole?: boolean;
  /** No pgpool has reported the primary: where no node accepts writes, the pgpools are asked whether they have given it up. */
  readonly isUnreported?: boolean;
}

export interface LookPlan {
  /** Another node than the one that was the primary, by what was seen directly, is silent. */
  readonly hasSilent: boolean;
  readonly asksPgpools: boolean;
  /** The node that the standbys' hosts are asked about; null = none. */
  readonly probed: number | null;
}

/** @param direct what every node, and the hosts of those that do not answer, have said */
export function planLook(configuration: ClusterConfiguration, direct: Facts, purpose: LookPurpose): LookPlan {
  const about = findSuspect(configuration, direct, purpose.suspect);
  const isSettled = writableNodes(direct).length > 0 || (about !== null && isProvenDead(direct, about));
  const hasSilent = direct.nodes.some(({ node, sql }) => sql === 'silent' && node !== about);
  const asksPgpools = !isSettled || needsPgpools(configuration, direct, purpose, hasSilent);
  const probed = !isSettled && about !== null && needsProbes(direct, about) ? about : null;
  return { hasSilent, asksPgpools, probed };
}

function findSuspect(configuration: ClusterConfiguration, direct: Facts, suspect: number | null): number | null {
  const suspicion = { suspect: null, oldPrimary: suspect, failedNode: suspect, fencedNode: null, opened: [] };
  return findNode(configuration, suspectPrimary(configuration, direct, suspicion))?.id ?? null;
}

function isProvenDead(facts: Facts, node: number): boolean {
  const own = factsOf(facts, node);
  return own?.sql !== 'answered' && (own?.host?.processes === 'none' || own?.host?.processes === 'orphans');
}

/** A primary that answers, or a dead postmaster seen on its own host, settles it: asking everybody else would only cost time. */
function needsPgpools(
  configuration: ClusterConfiguration,
  direct: Facts,
  { isWhole, isUnreported, suspect }: LookPurpose,
  hasSilent: boolean,
): boolean {
  // A pgpool may hear a node that the worker does not, and as a primary.
  const isOther = direct.record !== null && direct.record.primary !== suspect;
  const isLost = writableNodes(direct).length === 0 && (isUnreported === true || hasSilent || isOther);
  return isWhole === true || isLost || isClaimed(configuration, direct);
}

/** More than one node may be the primary, or the record names another one: who is served tells them apart. */
function isClaimed(configuration: ClusterConfiguration, facts: Facts): boolean {
  const writable = writableNodes(facts);
  const standbys = answeringStandbys(facts);
  const record = findRecord(configuration, facts);
  return (
    writable.length > 1 ||
    (record !== null && writable.some(({ node }) => node !== record.primary)) ||
    writable.some((entry) => findHeir(entry, standbys) !== undefined || findSuccessors(facts, entry).length > 0)
  );
}

/** A psql on every standby's host costs more than all the rest: only where the direct look settled nothing. */
function needsProbes(facts: Facts, node: number): boolean {
  const sql = factsOf(facts, node)?.sql;
  return sql !== 'answered' && sql !== 'recovering';
}
