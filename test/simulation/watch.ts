// The product's watch on virtual time: one look a second, driven as activities/look/watch.ts and workflows/watching.ts drive it, which tells the incident.

import type { ShownNode, Difference, NodeWords, PgpoolSample } from '../../domain/facts/watch';
import { conclude, concludeSamples } from '../../domain/plans/record';
import { eventOf, observeSample, tellDue } from '../../domain/plans/watch';
import { after } from './clock';
import { checkTold } from './invariants/level';
import { addressOf, answerOf, lookAtNode } from './look';
import { isListed } from './model/physics';
import { canReach, type ModelPgpool, type World, workerHost } from './model/world';
import { type Simulation, tellStory, worldNow } from './simulation';
import type { Watch } from './watch-memory';

const everyMs = 1000;
/** As activities/io/pcp/pgpool-view.ts. */
const pgpoolEveryMs = 10_000;
const silentMs = 10_000;
/** Decisions read what was sent last: at each change, and so long after it. */
const beatMs = 10_000;

export function startWatch(sim: Simulation): void {
  after(sim.clock, everyMs, () => {
    startWatch(sim);
    if (sim.clock.now >= sim.watch.absentUntil) look(sim);
  });
}

function look(sim: Simulation): void {
  const { watch, clock } = sim;
  const world = worldNow(sim);
  const { configuration, record, maintenance, left } = world;
  const at = new Date(clock.now).toISOString();
  const nodes = world.nodes.map(({ id }) => hear(world, id));
  lookAtPgpools(sim, at);
  const pgpools = configuration.pgpool.flatMap(({ name }) => watch.views.get(name) ?? []);
  const seen = observeSample(watch.state, { at, nodes, pgpools }, { record, maintenance, left }, configuration);
  watch.state = seen.state;
  watch.isSoon = seen.isChange;
  if (seen.isChange || clock.now - watch.beatAt >= beatMs) beat(watch, clock.now);
  if (seen.due.length === 0) return;
  const answer = tellDue(watch.state, seen.due, sim.incident !== null);
  if (answer.told.length === 0) return;
  watch.state = answer.state;
  beat(watch, clock.now);
  const settled = answer.told.find(({ kind }) => kind === 'no-record');
  const conclusion = settled && concludeSamples(configuration, watch.state.samples, settled.node!, record?.at ?? null);
  if (conclusion) {
    world.record = conclude(world.record, conclusion);
    tellStory(sim, `* the watch fills the record: node ${conclusion.primary} on timeline ${conclusion.timeline}`);
  }
  const back = answer.told.flatMap(({ kind, node }) => (kind === 'answers' || kind === 'taken-up' ? [node] : []));
  world.left = world.left.filter((node) => !back.includes(node));
  for (const difference of answer.told) tell(sim, difference);
}

function beat(watch: Watch, now: number): void {
  watch.beaten = watch.state!.samples;
  watch.beatAt = now;
}

/** Two workflow tasks and an activity later. */
const tellingMs = 60;

function tell(sim: Simulation, difference: Difference): void {
  const event = eventOf(difference);
  const { kind, line } = difference;
  if (kind !== 'no-record') tellStory(sim, `* the watch ${event ? 'tells' : 'warns'} (${kind}): ${line}`);
  checkTold(sim, difference, event !== null);
  if (!event) return;
  after(sim.clock, tellingMs, () => {
    sim.signal({ ...event, at: new Date(sim.clock.now).toISOString() });
  });
}

function hear(world: World, id: number) {
  const { sql, sqlSeen, ...facts } = lookAtNode(world, id);
  if (sql !== 'answered') return { node: id, said: null, seen: sqlSeen };
  const { receiver } = world.nodes[id]!;
  const followers = world.nodes.filter((node) => isListed(world, node, id));
  const said: NodeWords = {
    isInRecovery: facts.isInRecovery!,
    systemIdentifier: facts.systemIdentifier!,
    position: facts.position,
    synchronousStandbyNames: facts.synchronousStandbyNames!,
    applicationName: facts.applicationName,
    followers: facts.isInRecovery ? [] : followers.map((node) => `node${node.id}`),
    receiver: receiver?.isStreaming ? { ...addressOf(world, receiver.from), timeline: receiver.timeline } : null,
  };
  return { node: id, said, seen: facts.isInRecovery ? 'in recovery' : 'accepts writes' };
}

function lookAtPgpools(sim: Simulation, at: string): void {
  const { watch, world, clock } = sim;
  for (const { id } of world.nodes)
    if (answerOf(world, world.nodes[id]!, workerHost) !== 'silent') watch.silentSince.delete(id);
    else if (!watch.silentSince.has(id)) watch.silentSince.set(id, clock.now);
  for (const pgpool of world.pgpools) {
    const last = watch.views.get(pgpool.name);
    // A new watch's first view comes after its first look.
    if (!last && !watch.askedFirst.has(pgpool.name)) {
      watch.askedFirst.add(pgpool.name);
      continue;
    }
    watch.askedFirst.delete(pgpool.name);
    if (!watch.isSoon && last && clock.now - Date.parse(last.at) < pgpoolEveryMs) continue;
    watch.views.set(pgpool.name, view(sim, pgpool, at));
  }
}

/** A node that has been silent for some seconds only is not asked about. */
function view({ world, watch, clock }: Simulation, pgpool: ModelPgpool, at: string): PgpoolSample {
  const isThere = canReach(world, workerHost, pgpool.host);
  if (!isThere || !pgpool.isRunning)
    return { pgpool: pgpool.name, at, isReached: isThere, nodes: [], seen: isThere ? 'refused' : 'no answer' };
  const isAsked = (id: number): boolean => clock.now - (watch.silentSince.get(id) ?? -Infinity) >= silentMs;
  const nodes = world.nodes.flatMap(({ id }): ShownNode[] => {
    const role = pgpool.primary === id ? 'primary' : 'standby';
    return isAsked(id) ? [{ node: id, status: pgpool.status[id]!, role }] : [];
  });
  return { pgpool: pgpool.name, at, isReached: true, nodes, seen: '' };
}
