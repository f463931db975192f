// The simulated ground: each verb acts on the model with its real contract, and may take effect and lose its proof, run late, twice, or not at all.

import { Failure } from '../../activities/io/failures';
import type { Choice } from '../../domain/facts/decision';
import {
  type Acts,
  type Ground,
  type InputOf,
  type Question,
  StepFailed,
  type VerbName,
} from '../../workflows/runbooks/ground';
import { type Patience, verbs } from '../../workflows/runbooks/verbs';
import { dataVerbs } from './acts/data';
import { pgpoolVerbs } from './acts/pgpool';
import { primaryVerbs } from './acts/primary';
import { standbyVerbs } from './acts/standby';
import type { Run, VerbBodies } from './acts/run';
import { after, Cancelled, type Scope, sleep } from './clock';
import { type Actor, type ActTrouble, type Simulation, tellStory } from './simulation';

const bodies = { ...primaryVerbs, ...standbyVerbs, ...dataVerbs, ...pgpoolVerbs } as unknown as VerbBodies;

/** As workflows/patience.ts has them. */
const attempts: Partial<Record<Patience, number>> = { critical: 2, promotion: 2, background: 4, startup: 2, job: 5 };
type Pauses = readonly [first: number, factor: number, most: number];
const pauses: Partial<Record<Patience, Pauses>> = {
  reading: [200, 1.5, 5000],
  critical: [100, 2, 10_000],
  promotion: [100, 2, 10_000],
  background: [500, 2, 10_000],
  startup: [500, 2, 10_000],
  job: [1000, 3, 10_000],
};
/** Tried for ever. */
const patient: Pauses = [1000, 1.3, 15_000];
/** A dead worker is noticed by its heartbeat. */
const heartbeatMs = 2000;
/** Of the script that is on its way: later a node refuses it. */
const longestDelayMs = 10_000;

export function newActor(
  { clock }: Simulation,
  name: string,
  kind: Actor['kind'],
  node: number | null = null,
  mayStart = false,
): Actor {
  return {
    ...{
      name,
      kind,
      node,
      mayStart,
      startedAt: clock.now,
      lookedAtVersion: -1,
      lookedAt: 0,
      stopped: [],
      fenced: new Set(),
    },
    ...{ failed: new Set(), facts: null },
  };
}

export function openGround(sim: Simulation, scope: Scope, actor: Actor): Ground {
  const shields = { count: 0 };
  const current = (): Scope | null => (shields.count > 0 ? null : scope);
  const act = Object.fromEntries(
    (Object.keys(verbs) as VerbName[]).map((name) => [
      name,
      (input: InputOf<VerbName>) => perform(sim, actor, current(), name, input),
    ]),
  ) as unknown as Acts;
  return {
    act,
    note: (title, seen) => {
      tellStory(sim, `  ${actor.name}: ${title}: ${seen}`);
    },
    ask: (question, againMs = null) => ask(sim, scope, question, againMs),
    now: () => sim.clock.now,
    sleep: (ms) => sleep(sim.clock, ms, current()),
    shielded: async (body) => {
      shields.count += 1;
      try {
        return await body();
      } finally {
        shields.count -= 1;
      }
    },
  };
}

/** Parks until somebody answers, `againMs` is over, or the scope is cancelled. */
export function ask(sim: Simulation, scope: Scope, question: Question, againMs: number | null): Promise<Choice> {
  if (scope.isCancelled) return Promise.reject(new Cancelled());
  tellStory(sim, `  parked: ${question.title}: ${question.problem}`);
  return new Promise((resolve, reject) => {
    const close = (): void => {
      sim.clock.isStirred = true;
      if (sim.parked.get(question.stepId) === parked) sim.parked.delete(question.stepId);
      scope.wakers.delete(wake);
      if (timer) timer.body = null;
    };
    const wake = (): void => {
      close();
      reject(new Cancelled());
    };
    const answer = (choice: Choice): void => {
      close();
      resolve(choice);
    };
    const parked = { question, since: sim.clock.now, answer };
    const timer =
      againMs === null
        ? null
        : after(sim.clock, againMs, () => {
            answer('retry');
          });
    sim.parked.set(question.stepId, parked);
    scope.wakers.add(wake);
  });
}

async function perform(
  sim: Simulation,
  actor: Actor,
  scope: Scope | null,
  name: VerbName,
  input: InputOf<VerbName>,
): Promise<unknown> {
  const { patience } = verbs[name];
  const [first, factor, longest] = pauses[patience] ?? patient;
  let pause = first;
  for (let count = 1; ; count += 1) {
    if (scope?.isCancelled) throw new Cancelled();
    const run: Run = { sim, actor, scope, isRepeated: count > 1, isLate: false, blind: [] };
    const end = await attempt(run, name, input);
    if ('result' in end) return end.result;
    const { error } = end;
    if (error instanceof Cancelled) throw error;
    const isTimeout = error instanceof TimedOut;
    if (!isTimeout && !(error instanceof Failure)) throw error;
    if (count >= (attempts[patience] ?? Infinity) || (error instanceof Failure && error.isFinal)) {
      tellStory(sim, `  ${actor.name}: ${verbs[name].title(input as never)} failed: ${error.message}`);
      const [type, details] = error instanceof Failure ? [error.type, error.details] : [null, null];
      if (name === 'promote') actor.failed.add((input as InputOf<'promote'>).candidate);
      throw new StepFailed(name, type, error.message, details, isTimeout);
    }
    await sleep(sim.clock, pause, scope);
    pause = Math.min(longest, pause * factor);
  }
}

class TimedOut extends Error {
  override readonly name = 'TimedOut';

  constructor(verb: string) {
    super(`${verb}: the worker's heartbeat is missing`);
  }
}

type End = { readonly result: unknown } | { readonly error: unknown };

async function attempt(run: Run, name: VerbName, input: InputOf<VerbName>): Promise<End> {
  const trouble = takeTrouble(run.sim, name, input);
  if (trouble) tellStory(run.sim, `  (${name}: ${trouble.how})`);
  const body = (one: Run): Promise<unknown> =>
    doVerb(one, name, input).finally(() => {
      noteChange(one.sim, name, input);
    });
  const ended = (promise: Promise<unknown>): Promise<End> =>
    promise.then(
      (result) => ({ result }),
      (error: unknown) => ({ error }),
    );
  const timeOut = async (): Promise<End> => {
    await sleep(run.sim.clock, heartbeatMs);
    return { error: new TimedOut(name) };
  };
  let issuedAt = 0;
  switch (trouble?.how) {
    case undefined:
      return await ended(body(run));
    case 'blind':
      return await ended(body({ ...run, blind: [trouble.node ?? 0] }));
    case 'dies-before':
      noteDoubt(run.sim, name, input);
      return await timeOut();
    case 'dies-after':
      await ended(body({ ...run, scope: null }));
      return await timeOut();
    case 'late':
      noteDoubt(run.sim, name, input);
      issuedAt = run.sim.clock.now;
      after(run.sim.clock, Math.min(trouble.ms, longestDelayMs), () => {
        if (isOvertaken(run.sim, input, issuedAt)) tellStory(run.sim, `  (${name}: refused by the node: overtaken)`);
        else void ended(body({ ...run, scope: null, isLate: true }));
      });
      return await timeOut();
    case 'twice': {
      const first = await ended(body(run));
      return 'error' in first ? first : await ended(body({ ...run, isRepeated: true }));
    }
    case 'refused':
      await sleep(run.sim.clock, 100, run.scope);
      return { error: refusalOf(run, name) };
  }
}

/** Acts under a node's lock, which the node notes, and after which it refuses those that were issued before. */
const noted: readonly VerbName[] = [
  ...(['fence', 'promote', 'start', 'stop', 'repoint', 'configureStandby', 'placeData', 'setDataAside'] as const),
  ...(['removeData', 'restoreConfiguration', 'clearReplacedData'] as const),
];

function nodeIn(input: unknown): number | undefined {
  const { node, candidate } = input as { node?: number; candidate?: number };
  return node ?? candidate;
}

function noteChange({ changedAt, clock }: Simulation, name: VerbName, input: unknown): void {
  const node = nodeIn(input);
  if (noted.includes(name) && node !== undefined) changedAt.set(node, clock.now);
}

function isOvertaken({ changedAt }: Simulation, input: unknown, issuedAt: number): boolean {
  return (changedAt.get(nodeIn(input) ?? -1) ?? 0) > issuedAt;
}

/** Another act holds the node's lock. A promotion says besides what is known of it. */
function refusalOf({ isRepeated }: Run, name: VerbName): Failure {
  const details = name === 'promote' ? { isTold: isRepeated, holdUp: null } : null;
  const isFinal = name === 'promote' && !isRepeated;
  return new Failure('Unreachable', `${name}: another act holds the node`, { details, isFinal });
}

/** Whether the candidate was told is unknown to everybody when the worker died. */
function noteDoubt({ world }: Simulation, name: VerbName, input: unknown): void {
  const { candidate } = input as { candidate?: number };
  if (name === 'promote' && candidate !== undefined) world.nodes[candidate]!.mayBeTold = true;
}

async function doVerb(run: Run, name: VerbName, input: InputOf<VerbName>): Promise<unknown> {
  const { sim } = run;
  sim.actions.add(name);
  const body = (): Promise<unknown> => (bodies[name] as (one: Run, given: unknown) => Promise<unknown>)(run, input);
  return await (sim.subject.verb ? sim.subject.verb(name, input, body, sim) : body());
}

function takeTrouble(sim: Simulation, name: VerbName, input: unknown): ActTrouble | null {
  const { node, candidate } = input as { node?: number; candidate?: number };
  const index = sim.troubles.findIndex(
    (one) =>
      one.verb === name && (one.node === null || one.how === 'blind' || one.node === (node ?? candidate ?? null)),
  );
  const trouble = sim.troubles[index];
  if (!trouble) return null;
  trouble.times -= 1;
  if (trouble.times <= 0) sim.troubles.splice(index, 1);
  sim.world.version += 1;
  return trouble;
}
