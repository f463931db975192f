// Troubles of our own acts, of the record, and of a standby that is to be promoted.

import type { VerbName } from '../../../workflows/runbooks/ground';
import { quirks } from '../acts/quirks';
import type { ActTrouble } from '../simulation';
import { deed, whoOf } from './deed';

const acts: readonly VerbName[] = [
  ...(['promote', 'promote', 'promote', 'promote', 'fence', 'fence', 'fence', 'observe', 'repoint'] as const),
  ...(['configureStandby', 'start', 'stop', 'baseBackup', 'placeData', 'attach', 'confirmPrimary'] as const),
  ...([
    'setSynchronousStandbys',
    'conclude',
    'findOwnWal',
    'awaitRecovery',
    'saveDivergedWal',
    'setDataAside',
  ] as const),
  ...(['verifyBackup', 'confirmStreaming'] as const),
];
const ways: Readonly<Record<number, ActTrouble['how']>> = {
  ...{ 50: 'late', 500: 'dies-after', 2000: 'dies-before', 5000: 'refused', 20_000: 'late', 60_000: 'twice' },
};
const holdUps = ['replaying', 'archive', 'conflict', 'paused', null] as const;

export const troubleDeeds = {
  trouble: deed('fault', 9, (sim, { other, ms, isWide }) => {
    const verb = acts[other % acts.length]!;
    const how = verb === 'observe' ? 'blind' : (ways[ms] ?? 'late');
    const times = isWide ? 2 : 1;
    const node = how === 'blind' ? other % sim.world.nodes.length : null;
    sim.troubles.push({ verb, node, how, ms, times });
    return `the next ${verb} ${how}${times > 1 ? ', twice' : ''}`;
  }),
  holdUp: deed('fault', 4, (sim, entry) => {
    const node = whoOf(sim, entry.who === 'primary' ? { ...entry, who: 'standby' } : entry);
    const kind = holdUps[entry.other % holdUps.length] ?? null;
    node.trouble = { kind, ms: entry.ms };
    return `a promotion of node ${node.id} will take ${entry.ms} ms (${kind ?? 'for no reason that it shows'})`;
  }),
  unfit: deed('fault', 2, (sim, entry) => {
    const node = whoOf(sim, entry);
    if (node.isWritable || node.process !== 'running') return null;
    Object.assign(node, { isUnfit: true, isReplayPaused: true });
    return `a setting is raised on the primary only: node ${node.id} pauses its replay`;
  }),
  quirk: deed('fault', 3, (sim, entry) => {
    const node = whoOf(sim, entry);
    const own = quirks[(entry.other * 7 + (entry.ms % 11)) % quirks.length]!;
    node.quirk = node.quirk === null ? own.facts : null;
    return node.quirk ? `node ${node.id}: ${own.what}` : `node ${node.id}: nothing is in the way of a copy any more`;
  }),
  delay: deed('fault', 1, (sim, entry) => {
    const node = whoOf(sim, entry);
    if (node.isWritable) return null;
    node.delayMs = node.delayMs > 0 ? 0 : 3_600_000;
    return `node ${node.id} delays its replay by ${node.delayMs} ms`;
  }),
  loseRecord: deed('fault', 1, (sim) => {
    if (!sim.world.record) return null;
    sim.world.record = null;
    return 'the record is lost';
  }),
  restartWorker: deed('fault', 2, ({ watch, clock }, { ms, isWide }) => {
    const goneMs = isWide ? 3 * ms : ms;
    watch.views.clear();
    Object.assign(watch, { absentUntil: clock.now + goneMs });
    return `the watch's worker is down for ${goneMs} ms, and goes on with what it knew`;
  }),
  hide: deed('fault', 2, (sim, entry) => {
    const node = whoOf(sim, entry);
    const things = ['processes', 'controlFile', 'wal'] as const;
    node.hidden = node.hidden === null ? things[entry.other % things.length]! : null;
    return node.hidden === null
      ? `by ssh all of node ${node.id} can be read again`
      : `by ssh nobody can read of node ${node.id}: ${node.hidden}`;
  }),
  loseWatch: deed('fault', 2, ({ watch, clock }, { ms }) => {
    Object.assign(watch, { state: null, beaten: null, absentUntil: clock.now + ms });
    return `the watch and its memory are lost: it begins anew after ${ms} ms`;
  }),
  clock: deed('fault', 1, (sim, entry) => {
    const node = whoOf(sim, entry);
    node.clockOffsetMs = entry.ms;
    return `the clock of node ${node.id} is ${entry.ms} ms ahead`;
  }),
};
