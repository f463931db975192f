// Where a mutation takes hold of the product: functions of domain/plans that other modules import. The test replaces those modules by these seams;
// without a mutation each calls the real function.

import type { planFailover } from '../../../domain/plans/failover';
import type { chooseCandidate } from '../../../domain/plans/candidate';
import type { planFollow } from '../../../domain/plans/follow';
import type { pauseInstead } from '../../../domain/plans/pause';
import type { describeCutOff } from '../../../domain/plans/reach';
import type { planWithTwoPrimaries } from '../../../domain/plans/rival-primaries';
import type { suspectPrimary } from '../../../domain/plans/suspect';
import type { hasLastCommit } from '../../../domain/plans/synchronous';

interface Functions {
  planFailover: typeof planFailover;
  chooseCandidate: typeof chooseCandidate;
  planFollow: typeof planFollow;
  pauseInstead: typeof pauseInstead;
  describeCutOff: typeof describeCutOff;
  planWithTwoPrimaries: typeof planWithTwoPrimaries;
  suspectPrimary: typeof suspectPrimary;
  hasLastCommit: typeof hasLastCommit;
}

export type SeamName = keyof Functions;

export type Seams = {
  [Name in SeamName]?: (real: Functions[Name], ...args: Parameters<Functions[Name]>) => ReturnType<Functions[Name]>;
};

let current: Seams = {};

export function setSeams(seams: Seams): void {
  current = seams;
}

/** The module with this function led through its seam. */
export function withSeam(module: Record<string, unknown>, name: SeamName): Record<string, unknown> {
  const real = module[name] as (...args: unknown[]) => unknown;
  const led = (...args: unknown[]): unknown => {
    const seam = current[name] as ((real: unknown, ...given: unknown[]) => unknown) | undefined;
    return seam ? seam(real, ...args) : real(...args);
  };
  return { ...module, [name]: led };
}
