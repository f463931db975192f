// The verbs about pgpool and the incident on the model: attach, confirmPrimary, conclude, signalIncident.

import { conclude } from '../../../domain/plans/record';
import { checkAttach } from '../invariants/acts';
import { attach, liveStatusOf, promoteView } from '../model/pgpool';
import { canReach, type ModelPgpool, type World, workerHost } from '../model/world';
import { after } from '../clock';
import { worldNow } from '../simulation';
import { acted, done, fail, pause, type Run, type VerbBodies, work } from './run';

type PgpoolVerb = 'attach' | 'confirmPrimary' | 'conclude' | 'signalIncident';

/** pgpool's main process works on a request about a second later. */
const requestMs = 800;

function findPgpool(world: World, name: string): ModelPgpool {
  return world.pgpools.find((pgpool) => pgpool.name === name)!;
}

function isAnswering(world: World, pgpool: ModelPgpool): boolean {
  return pgpool.isRunning && canReach(world, workerHost, pgpool.host);
}

function request(run: Run, body: (world: World) => void): void {
  after(run.sim.clock, requestMs, () => {
    body(worldNow(run.sim));
  });
}

export const pgpoolVerbs: Pick<VerbBodies, PgpoolVerb> = {
  attach: async (run, { pgpool: name, node, primary }) => {
    const { clock } = run.sim;
    const deadline = clock.now + 20_000;
    let [changed, askNotBefore] = [false, 0];
    while (clock.now < deadline) {
      const world = worldNow(run.sim);
      const pgpool = findPgpool(world, name);
      if (isAnswering(world, pgpool)) {
        const isShown = pgpool.primary === primary || node === primary;
        if (isShown && pgpool.status[node] === 'up') return done(`pgpool ${name} uses node ${node}`, changed);
        if (!isShown) askNotBefore = Math.max(askNotBefore, clock.now + 1500);
        else if (clock.now >= askNotBefore && liveStatusOf(world, pgpool, node) === 'up') {
          checkAttach(run, pgpool, node);
          acted(run, `asks ${name} to attach node ${node}`);
          request(run, (later) => {
            attach(later, pgpool, node);
          });
          changed = true;
          askNotBefore = clock.now + 4000;
        }
      }
      await pause(run, 500);
    }
    throw fail('unproven', `pgpool ${name} does not show node ${node} up`);
  },
  confirmPrimary: async (run, { pgpool: name, primary }) => {
    const { clock } = run.sim;
    const startedAt = clock.now;
    let [changed, isAsked] = [false, false];
    await pause(run, 200);
    while (clock.now - startedAt < 25_000) {
      const world = worldNow(run.sim);
      const pgpool = findPgpool(world, name);
      let ms = 500;
      if (isAnswering(world, pgpool)) {
        if (pgpool.primary === primary && pgpool.status[primary] === 'up')
          return done(`pgpool ${name} shows node ${primary} as its primary`, changed);
        const isDown = pgpool.status[primary] === 'down';
        if (isDown && liveStatusOf(world, pgpool, primary) === 'up') {
          checkAttach(run, pgpool, primary);
          acted(run, `asks ${name} to attach the primary, node ${primary}`);
          request(run, (later) => {
            attach(later, pgpool, primary);
          });
          [changed, ms] = [true, 1000];
        } else if (!isDown && !isAsked && clock.now - startedAt > 7000) {
          acted(run, `asks ${name} to take node ${primary} for the primary`);
          request(run, (later) => {
            promoteView(later, pgpool, primary);
          });
          [changed, isAsked] = [true, true];
        }
      }
      await pause(run, ms);
    }
    throw fail('unproven', `pgpool ${name} does not show node ${primary} as its primary`);
  },
  conclude: async (run, { conclusion }) => {
    const world = await work(run, 20);
    const last = world.record?.primary;
    world.record = conclude(world.record, conclusion);
    if (world.record.primary !== last) world.left = [];
    acted(run, `records: node ${conclusion.primary} on timeline ${conclusion.timeline} (${conclusion.openedBy})`);
    return { line: 'recorded' };
  },
  signalIncident: async (run, { node, eventId, more }) => {
    await work(run, 10);
    const at = new Date(run.sim.clock.now).toISOString();
    run.sim.signal({ eventId, kind: 'returned', node, mainNode: null, oldPrimary: null, at, ...more });
  },
};
