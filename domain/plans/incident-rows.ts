// The page: rows that say what happens to each node while an incident is open. The first row that fits counts; its
// number is on Temporal Web's page.
// docs/architecture.md shows this table; a test keeps both the same.

import type { FollowReport } from '../facts/outcome';
import type { ReasonCode } from '../facts/reasons';
import type { NodeState, ReceivedEvent, Settlement, Until } from './incident-state';
import { answerAsked, away, cancelFollow, follow, isSilent, openWork, reportOf, type Turn } from './incident-turn';

/** Messages about a node. */
export type NodeMessage =
  /** A decision has found the node that accepts writes. `events` are those that name this node. */
  | {
      readonly on: 'primary';
      readonly settlement: Settlement & { readonly primary: number };
      readonly events: readonly ReceivedEvent[];
      /** Every configured node must be followed up: the primary has changed, or works again. */
      readonly isNews: boolean;
      /** This incident has stopped the node while it was alive. */
      readonly isFenced: boolean;
    }
  /** A decision has found that no node accepts writes and none can be promoted. */
  | { readonly on: 'refused'; readonly settlement: Settlement }
  /** pgpool's follow hook names the node, and the primary is known. */
  | { readonly on: 'hint' }
  | { readonly on: 'returned' }
  /** The node's follow has ended; null = it was cancelled. */
  | { readonly on: 'followed'; readonly report: FollowReport | null }
  /** Nothing else is left to do. */
  | { readonly on: 'quiet' };

type On<Kind extends NodeMessage['on']> = Extract<NodeMessage, { readonly on: Kind }>;

export interface Row<Kind extends NodeMessage['on'] = NodeMessage['on']> {
  readonly number: number;
  readonly on: Kind;
  /** In words, for docs/architecture.md. */
  readonly when: string;
  readonly then: string;
  readonly fits: (node: NodeState, message: On<Kind>, turn: Turn) => boolean;
  readonly does: (node: NodeState, message: On<Kind>, turn: Turn) => Partial<NodeState>;
}

const row = <Kind extends NodeMessage['on']>(
  number: number,
  on: Kind,
  [when, then]: readonly [string, string],
  fits: Row<Kind>['fits'],
  does: Row<Kind>['does'],
): Row => ({ number, on, when, then, fits, does }) as unknown as Row;

const always = (): boolean => true;
const nothing = (): Partial<NodeState> => ({});

export const rows: readonly Row[] = [
  row(
    1,
    'primary',
    ['it is the primary', 'cancel its follow'],
    (n, m) => n.id === m.settlement.primary,
    (n, _, turn) => {
      const line = `node ${n.id} is the primary: it follows no other node`;
      answerAsked(turn, n.id, { outcome: 'refused', reason: 'node-not-standby', line });
      return { ...cancelFollow(turn, n), is: 'primary', until: null, wants: false, isDoubted: false };
    },
  ),
  row(
    2,
    'primary',
    ['its follow of another primary is closing', 'a new one, which may start it, once that is closed'],
    (n) => n.follow === 'closing',
    () => ({ wants: true }),
  ),
  row(
    3,
    'primary',
    ['it was the primary and is away, and no person asks for it', 'nothing: the watch tells of its return'],
    (n, m) => n.id === m.settlement.former && m.settlement.isFormerAway && !isAskedFor(m),
    () => away('answers'),
  ),
  row(
    4,
    'primary',
    [
      'a person asks for it, or we stopped it while it was alive and policy.rejoin is automatic',
      'follow; a stopped node may be started',
    ],
    (_, m) => isAskedFor(m),
    (n, _, turn) => follow(turn, n, true),
  ),
  row(
    5,
    'primary',
    ['it is silent', 'nothing: the watch tells of its return'],
    (n) => isSilent(n) && n.follow === 'none',
    nothing,
  ),
  row(
    6,
    'primary',
    ['it is back, and policy.rejoin is manual', 'left to a person'],
    (_, m) => !m.isNews && isManual(m) && m.events.every(({ kind }) => kind === 'returned'),
    (n) => ({ is: 'left', report: leftToPerson(n.id) }),
  ),
  row(
    7,
    'primary',
    [
      'pgpool reports it alone as failed, or anything else names it, or every node is concerned',
      'follow; one that pgpool alone reports waits before it is attached',
    ],
    always,
    (n, m, turn) => follow(turn, n, false, isReportedAlone(m)),
  ),
  row(
    8,
    'refused',
    ['it did not answer', 'nothing: the watch tells of its return, which may change the decision'],
    (n, m) => m.settlement.silent.includes(n.id),
    () => away('answers'),
  ),
  row(
    9,
    'hint',
    ['it is the primary, or silent', 'nothing'],
    (n) => n.is === 'primary' || (isSilent(n) && n.follow === 'none'),
    nothing,
  ),
  row(
    10,
    'hint',
    ['pgpool says that it must follow', 'follow; a running one is looked at again at its end'],
    always,
    (n, _, turn) => follow(turn, n, false),
  ),
  row(11, 'returned', ['the watch has seen it', 'the decision says what becomes of it'], always, (n) => ({
    ...(n.is === 'away' && { is: 'unseen' as const }),
    until: null,
  })),
  row(
    12,
    'followed',
    ['another follow is wanted', 'start it; a stopped node may be started'],
    (n) => n.wants,
    (n, m, turn) => ({
      ...(m.report && { report: reportOf(n, m.report) }),
      ...follow(turn, { ...n, follow: 'none' }, true),
    }),
  ),
  row(
    13,
    'followed',
    ['it was cancelled, or it is the primary', 'nothing'],
    (n, m) => m.report === null || n.is === 'primary',
    () => ({ follow: 'none' }),
  ),
  row(
    14,
    'followed',
    ['completed', 'it is well; a person who asked for it is answered'],
    (_, m) => m.report!.outcome === 'completed',
    (n, m, turn) => ({ ...ended(n, m.report!, turn), is: 'well', until: null }),
  ),
  row(
    15,
    'followed',
    ['the cluster file does not name it', 'a person who asked for it is answered'],
    (_, m) => m.report!.reason === 'node-not-configured',
    (n, m, turn) => ended(n, m.report!, turn),
  ),
  row(
    16,
    'followed',
    ['incomplete', 'the watch tells when it is worth another follow; a person who asked for it is answered'],
    always,
    (n, m, turn) => {
      const { reason } = m.report!;
      if (reason === 'decided-by-person' || reason === 'attach-unconfirmed')
        turn.moves.push({ do: 'leave', nodes: [n.id] });
      const is = leaving.includes(reason) ? ('left' as const) : ('away' as const);
      return { ...ended(n, m.report!, turn), ...away(untilOf(reason)), is };
    },
  ),
  row(
    17,
    'quiet',
    ['pgpool asked again while it was being attached', 'look at its attachment once more'],
    (n) => n.isDoubted && n.report?.outcome === 'completed',
    (n, _, turn) => {
      const { configuration, served } = turn.state;
      for (const { name: pgpool } of configuration!.pgpool) {
        const id = openWork(turn, `node${n.id}.confirm.${pgpool}`);
        turn.moves.push({ do: 'confirm-attached', id, pgpool, node: n.id, primary: served! });
      }
      return { isDoubted: false };
    },
  ),
  row(18, 'quiet', ['anything else', 'nothing'], always, () => ({ isDoubted: false })),
];

function isManual({ settlement }: On<'primary'>): boolean {
  return settlement.configuration.policy.rejoin === 'manual';
}

function isAskedFor(message: On<'primary'>): boolean {
  return message.events.some(({ kind }) => kind === 'rejoin') || (message.isFenced && !isManual(message));
}

/** pgpool has only detached this standby: the node failed for a moment, or a person detached it. */
function isReportedAlone({ events, settlement }: On<'primary'>): boolean {
  return (
    events.length > 0 && events.every((event) => event.kind === 'failover' && event.oldPrimary === settlement.primary)
  );
}

function ended(node: NodeState, report: FollowReport, turn: Turn): Partial<NodeState> {
  answerAsked(turn, node.id, report);
  return { follow: 'none', report: reportOf(node, report) };
}

function leftToPerson(node: number): FollowReport {
  const line = `node ${node} is back, and policy.rejoin is manual: pgpool-runbook rejoin ${node} makes it follow`;
  return { node, rung: 'none', outcome: 'incomplete', reason: 'rejoin-manual', line, ms: 0 };
}

/** Reasons for which the node is left to a person although it answers: only its next return matters. */
const leaving: readonly ReasonCode[] = ['decided-by-person', 'attach-unconfirmed', 'rejoin-manual', 'in-maintenance'];

function untilOf(reason: ReasonCode): Until {
  // A second node that accepts writes must be decided about at once.
  if (reason === 'node-unreachable' || reason === 'node-not-standby') return 'answers';
  return leaving.includes(reason) ? 'returns' : 'streams';
}
