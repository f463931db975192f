// Virtual time: a queue of what is to happen, and scopes whose sleeps a cancellation ends. Nothing here waits for real time.

/** Thrown into whoever sleeps in a scope that was cancelled. */
export class Cancelled extends Error {
  override readonly name = 'Cancelled';
}

export interface Scope {
  isCancelled: boolean;
  readonly wakers: Set<() => void>;
}

export interface Timer {
  readonly at: number;
  readonly order: number;
  body: (() => void) | null;
}

export interface Clock {
  now: number;
  readonly queue: Timer[];
  count: number;
  /** Something waits to go on in a microtask. */
  isStirred: boolean;
}

export const startedAt = Date.parse('2026-01-01T00:00:00.000Z');

export function newClock(): Clock {
  return { now: startedAt, queue: [], count: 0, isStirred: true };
}

export function newScope(): Scope {
  return { isCancelled: false, wakers: new Set() };
}

export function cancel(scope: Scope): void {
  scope.isCancelled = true;
  for (const wake of [...scope.wakers]) wake();
}

function isBefore(left: Timer, right: Timer): boolean {
  return left.at < right.at || (left.at === right.at && left.order < right.order);
}

/** Adds to the binary heap. */
export function at(clock: Clock, time: number, body: () => void): Timer {
  const { queue } = clock;
  const timer: Timer = { at: Math.max(time, clock.now), order: clock.count++, body };
  let index = queue.push(timer) - 1;
  while (index > 0) {
    const parent = (index - 1) >> 1;
    if (!isBefore(timer, queue[parent]!)) break;
    queue[index] = queue[parent]!;
    index = parent;
  }
  queue[index] = timer;
  return timer;
}

export function after(clock: Clock, ms: number, body: () => void): Timer {
  return at(clock, clock.now + ms, body);
}

function pop(queue: Timer[]): Timer | undefined {
  const first = queue[0];
  const last = queue.pop();
  if (!first || !last || queue.length === 0) return first;
  let index = 0;
  for (;;) {
    let child = 2 * index + 1;
    if (child >= queue.length) break;
    if (child + 1 < queue.length && isBefore(queue[child + 1]!, queue[child]!)) child += 1;
    if (!isBefore(queue[child]!, last)) break;
    queue[index] = queue[child]!;
    index = child;
  }
  queue[index] = last;
  return first;
}

/** @throws Cancelled when the scope is cancelled; null = nothing ends this sleep */
export function sleep(clock: Clock, ms: number, scope: Scope | null = null): Promise<void> {
  if (scope?.isCancelled) return Promise.reject(new Cancelled());
  return new Promise((resolve, reject) => {
    const wake = (): void => {
      timer.body = null;
      scope?.wakers.delete(wake);
      clock.isStirred = true;
      reject(new Cancelled());
    };
    const timer = after(clock, ms, () => {
      scope?.wakers.delete(wake);
      clock.isStirred = true;
      resolve();
    });
    scope?.wakers.add(wake);
  });
}

const drained = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

/** Lets everything happen up to `until`, or until `isOver`; what a happening sets free runs before the next one. */
export async function runClock(clock: Clock, until: number, isOver: () => boolean): Promise<void> {
  await drained();
  while (!isOver()) {
    const next = clock.queue[0];
    if (!next || next.at > until) break;
    pop(clock.queue);
    const { body } = next;
    if (!body) continue;
    clock.now = next.at;
    body();
    if (!clock.isStirred) continue;
    clock.isStirred = false;
    await drained();
  }
  clock.now = Math.max(clock.now, isOver() ? clock.now : until);
}
