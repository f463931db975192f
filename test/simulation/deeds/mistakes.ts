// Mistakes of people at a node's files: a primary that is made a standby, data of another cluster, a configuration that does not start.

import { shutDown, start } from '../model/processes';
import { firstLsn, newBranch } from '../model/wal';
import { isUp } from '../model/world';
import { worldNow } from '../simulation';
import { deed, primaryOf, whoOf } from './deed';

const foreignIdentifier = '7900000000000000001';

export const mistakeDeeds = {
  demote: deed('fault', 2, (sim, { isWide }) => {
    const world = worldNow(sim);
    const node = primaryOf(sim);
    if (!node.isWritable || !isUp(world, node)) return null;
    shutDown(world, node, 'person');
    // A person who ends another person's promotion has decided against its branch.
    if (node.branch.openedBy === 'person') node.branch.wasServed = false;
    Object.assign(node, { hasStandbySignal: true, upstream: isWide ? 'abroad' : null, mark: 'none' });
    start(world, node, 300);
    return `a person starts the primary, node ${node.id}, with standby.signal${isWide ? ', to follow a host outside the cluster file' : ''}`;
  }),
  adopt: deed('fault', 1, (sim, { isWide, ...entry }) => {
    const node = whoOf(sim, { ...entry, isWide });
    const world = worldNow(sim);
    if (node === primaryOf(sim) || node.isWritable) return null;
    if (node.process !== 'none') shutDown(world, node, 'person');
    const branch = newBranch(null, 1, 'person');
    world.branches.push(branch);
    const end = {
      flushed: firstLsn,
      whole: firstLsn,
      replayed: firstLsn,
      checkpoint: { branch, lsn: firstLsn - 4096 },
    };
    Object.assign(node, { branch, ...end, systemId: foreignIdentifier, hasData: true, mark: 'none' });
    Object.assign(node, { hasStandbySignal: true, reserved: [], historyAt: -Infinity });
    start(world, node, 300);
    return `a person starts data of another cluster on node ${node.id}, as a standby`;
  }),
  spoil: deed('fault', 2, (sim, entry) => {
    const node = whoOf(sim, entry);
    node.isSpoilt = !node.isSpoilt;
    return `a person writes a line into node ${node.id}'s configuration, which ${node.isSpoilt ? 'keeps it from starting' : 'is right again'}`;
  }),
};
