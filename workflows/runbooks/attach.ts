// The end of a follow, once the standby streams: attach it to every pgpool, clear up after a rebuild, save its
// configuration.

import { untilDone } from './asking';
import { type Following, configurationOf, look, releaseSlots } from './following';
import { clearUpRebuild } from './rebuild';

/**
 * Leaves a standby that worked all along detached for policy.reattachMs: a person may have detached it. True after the
 * pause: look again.
 */
export async function leaveDetached(following: Following): Promise<boolean> {
  const { ground, input, reason } = following;
  const { reattachMs } = configurationOf(following).policy;
  if (!input.isDetached || reason !== 'already-following' || reattachMs === 0) return false;
  const name = `node ${input.node}`;
  const pause = `${reattachMs / 1000} s`;
  ground.note('Pause', `${name} works, and is attached after ${pause}: a person may have detached it`);
  await ground.sleep(reattachMs, `${name} works: attached after ${pause}, or at once by rejoin`);
  return true;
}

/**
 * Attaches the node to all pgpools at once, so that a dead pgpool delays no other. Null, or the pgpools that a person
 * has skipped.
 */
export async function attachEverywhere(following: Following): Promise<string | null> {
  const { pgpool } = configurationOf(following);
  const isAttached = await Promise.all(pgpool.map(({ name }) => attachTo(following, name)));
  const skipped = pgpool.filter((_, index) => !isAttached[index]).map(({ name }) => name);
  if (skipped.length === 0) return null;
  return `${skipped.join(', ')} does not use node ${following.input.node}: skipped by decision`;
}

async function attachTo(following: Following, pgpool: string): Promise<boolean> {
  const { ground, input } = following;
  const { node, primary } = input;
  const question = {
    stepId: `node${node}.attach.${pgpool}`,
    title: `Attach node ${node} to ${pgpool}`,
    choices: ['retry', 'skip', 'abort'] as const,
  };
  const attached = await untilDone(ground, question, async (isRepeated) => {
    // Read the cluster file again: a person may have corrected it meanwhile.
    if (isRepeated) await look(following);
    return await ground.act.attach({ configuration: configurationOf(following), pgpool, node, primary });
  });
  return attached !== null;
}

/** Clears up after a rebuild, then saves the node's own files for a later rebuild. */
export async function clearUp(following: Following): Promise<void> {
  const { ground, input, rebuilding } = following;
  const { node } = input;
  await clearUpRebuild(rebuilding, configurationOf(following));
  if (following.rung === 'rebuild' || following.hasStarted) await releaseSlots(following);
  const question = {
    stepId: `node${node}.save-configuration`,
    title: `Save the configuration of node ${node}`,
    choices: ['retry', 'skip'] as const,
  };
  const save = () =>
    untilDone(ground, question, () =>
      ground.act.saveConfiguration({ configuration: configurationOf(following), node, rebuildId: null }),
    );
  const saved = await save();
  // The node streams, so a mark can only be left over from a rebuild that was cut off.
  if (!saved?.mark) return;
  await clearUpRebuild(rebuilding, configurationOf(following), saved.mark);
  await releaseSlots(following);
  await save();
}
