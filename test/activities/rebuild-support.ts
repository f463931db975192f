// Shared by the tests of a rebuild's activities: plans for a bed's nodes.
import { asidePath, freshSuffix, type RebuildDirectory, type RebuildPlan } from '../../domain/facts/data-directory';

export const rebuildId = '20261123T101530Z-0a1b2c3d';

/** Of data at `current`, with whatever is linked to it. */
export function planOf(
  current: string,
  more: Partial<RebuildPlan> & { readonly linked?: readonly Partial<RebuildDirectory>[] } = {},
): RebuildPlan {
  const { linked = [], ...rest } = more;
  const plan = { rebuildId, mode: 'sibling' as const, ...rest };
  const directories = [{ kind: 'data' as const, current }, ...linked].map((directory): RebuildDirectory => {
    const at = directory.current ?? current;
    const places = {
      current: at,
      fresh: plan.mode === 'sibling' ? `${at}${freshSuffix}` : at,
      aside: asidePath(at, plan.rebuildId),
    };
    return { kind: 'data', link: null, sourceLocation: null, ...places, ...directory };
  });
  return { directories, ...plan };
}
