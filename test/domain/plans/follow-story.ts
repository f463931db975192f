// A row of the table of follows: a cluster, a request, and the plan.

import type { PolicyConfiguration } from '../../../domain/facts/cluster';
import type { ReasonCode } from '../../../domain/facts/reasons';
import type { FollowRequest } from '../../../domain/plans/follow';
import type { Differences } from '../builders';

export interface FollowStory {
  readonly title: string;
  readonly topology: string;
  readonly node?: number;
  readonly primary?: number;
  /** Facts of node 2; the primary is node 1. */
  readonly own?: NonNullable<Differences['nodes']>[number];
  readonly nodes?: Differences['nodes'];
  readonly maintenance?: Differences['maintenance'];
  readonly watch?: Differences['watch'];
  readonly request?: Partial<FollowRequest>;
  readonly follow?: PolicyConfiguration['follow'];
  readonly expected: 'none' | 'repoint' | 'start' | 'rebuild' | 'compare' | 'wait' | ReasonCode;
}
