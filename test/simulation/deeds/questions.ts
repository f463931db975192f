// People who ask and say: the plan as it would be, the cluster as it is, and who the primary is. Only the last changes anything.

import type { ClusterConfiguration } from '../../../domain/facts/cluster';
import { describeCluster, describeSamples } from '../../../domain/plans/overview';
import { accept } from '../../../domain/plans/record';
import { tellPlan } from '../../../workflows/runbooks/telling';
import { checkOverview } from '../invariants/overview';
import { observeWorld } from '../observe';
import { type Simulation, worldNow } from '../simulation';
import { deed, whoOf } from './deed';

function lookAtAll(sim: Simulation) {
  worldNow(sim);
  const { cluster } = sim.world.configuration;
  return observeWorld(sim, { cluster, suspect: null, isWhole: true }, []).observation;
}

/** The cluster file has just got a node and a pgpool, which the watch has not looked at. */
function enlarge({ nodes, pgpool, ...more }: ClusterConfiguration): ClusterConfiguration {
  const added = { ...nodes[0]!, id: nodes.length, host: '10.0.0.99' };
  return { ...more, nodes: [...nodes, added], pgpool: [...pgpool, { ...pgpool[0]!, name: 'added' }] };
}

export const questionDeeds = {
  askPlan: deed('quiet', 2, (sim, entry) => {
    const { id } = whoOf(sim, entry);
    sim.clock.isStirred = true;
    void tellPlan(lookAtAll(sim), [id], sim.clock.now).catch((error: unknown) => {
      sim.violations.push({ rule: 'error', at: sim.clock.now, line: `the plan cannot be told: ${String(error)}` });
    });
    return `a person asks what would be done without node ${id}`;
  }),
  askStatus: deed('quiet', 2, (sim, { isWide }) => {
    checkOverview(sim);
    const { configuration, facts } = lookAtAll(sim);
    const { primaries } = describeCluster(configuration, facts);
    const asked = isWide ? enlarge(configuration) : configuration;
    if (sim.watch.beaten) describeSamples(asked, sim.watch.beaten, sim.world.maintenance);
    return `a person asks for the cluster's state: node ${primaries.join(', ') || 'none'} accepts writes`;
  }),
  acceptPrimary: deed('person', 2, (sim, entry) => {
    const { configuration, facts } = lookAtAll(sim);
    const node = entry.isWide ? (whoOf(sim, entry).id + 1) % 5 : whoOf(sim, entry).id;
    const accepted = accept(configuration, facts, { node, operator: 'ann@db' });
    if (typeof accepted === 'string') return `a person wants node ${node} for the primary: ${accepted}`;
    sim.world.record = accepted;
    sim.world.version += 1;
    return `a person says that node ${node} is the primary`;
  }),
};
