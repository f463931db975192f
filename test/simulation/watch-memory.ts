// Memory of the watch of a run, from look to look.

import type { PgpoolSample, WatchSamples, WatchState } from '../../domain/facts/watch';

export interface Watch {
  state: WatchState | null;
  /** Samples that decisions read. */
  beaten: WatchSamples | null;
  beatAt: number;
  readonly views: Map<string, PgpoolSample>;
  isSoon: boolean;
  /** pgpools whose first view is on its way. */
  readonly askedFirst: Set<string>;
  readonly silentSince: Map<number, number>;
  /** No worker watches until then. */
  absentUntil: number;
}

export function newWatch(): Watch {
  const [views, silentSince] = [new Map<string, PgpoolSample>(), new Map<number, number>()];
  return {
    state: null,
    beaten: null,
    beatAt: 0,
    views,
    isSoon: false,
    askedFirst: new Set(),
    silentSince,
    absentUntil: 0,
  };
}
