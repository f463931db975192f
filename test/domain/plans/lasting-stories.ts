// Stories of planFailover: what may be over in two seconds is looked at twice. Told in failover-plan.test.ts.

import {
  frozen,
  pgpoolSees,
  probe,
  receivesNothing,
  stopped,
  stoppedAt,
  systemIdentifier,
  vanished,
} from '../builders';
import { type FailoverStory, pgpoolLost, withoutReceivers } from './failover-stories';

export const lastingStories: readonly FailoverStory[] = [
  {
    title: 'the event is about a standby, and the primary hangs at the first look: its machine may stand still',
    topology: '0* frozen, 1 well, 2 stopped; pgpool: 2/0',
    facts: { nodes: { 0: frozen, 1: receivesNothing, 2: stopped }, probes: [probe(1, 'silent')], pgpools: pgpoolLost },
    request: { failedNode: 2 },
    expected: { action: 'look-again', state: 'hung', node: 0 },
  },
  {
    title: 'the event is about a standby, and the primary hangs two seconds later, too',
    topology: '0* frozen, 1 well, 2 stopped; pgpool: 2/0',
    facts: { nodes: { 0: frozen, 1: receivesNothing, 2: stopped }, probes: [probe(1, 'silent')], pgpools: pgpoolLost },
    request: { failedNode: 2, lasted: 0, givenUp: [0] },
    expected: { action: 'promote', state: 'hung', node: 1, formerPrimary: 0 },
  },
  {
    title: 'the event is about a standby, the primary hangs two seconds later, too, and no pgpool has given it up',
    topology: '0* frozen, 1 well, 2 stopped; pgpool: 2/0',
    facts: { nodes: { 0: frozen, 1: receivesNothing, 2: stopped }, probes: [probe(1, 'silent')], pgpools: pgpoolLost },
    request: { failedNode: 2, lasted: 0 },
    expected: { action: 'refuse', reason: 'primary-unreachable' },
  },
  {
    title: 'somebody returned, and the primary’s host says nothing at the first look: its link may fail over',
    topology: '0* vanished, 1 2 well; returned 2',
    facts: {
      nodes: { 0: vanished, 1: receivesNothing, 2: receivesNothing },
      probes: [probe(1, 'silent'), probe(2, 'silent')],
      pgpools: pgpoolLost,
    },
    request: { failedNode: null },
    expected: { action: 'look-again', state: 'unreachable', node: 0 },
  },
  {
    title: 'pgpool reports a primary whose port is closed while its processes run: a restart begins and ends so',
    topology: '0* refuses, processes run, 1 2 well; pgpool: 0/0',
    facts: {
      nodes: { 0: { ...stopped, host: { processes: 'running' } }, ...withoutReceivers },
      probes: [probe(1, 'refused')],
      pgpools: pgpoolLost,
    },
    expected: { action: 'look-again', state: 'hung', node: 0 },
  },
  {
    title: 'another node was in trouble two seconds ago: of this one it is the first sight',
    topology: '0* frozen, 1 well, 2 stopped; pgpool: 2/0',
    facts: { nodes: { 0: frozen, 1: receivesNothing, 2: stopped }, probes: [probe(1, 'silent')], pgpools: pgpoolLost },
    request: { failedNode: 2, lasted: 1 },
    expected: { action: 'look-again', state: 'hung', node: 0 },
  },
  {
    title: 'pgpool reports a primary that was shut down cleanly: a restart begins so',
    topology: '0* shut down, no process, 1 2 well; pgpool: 0/0',
    facts: { nodes: { 0: stoppedAt('0/5000000') } },
    expected: { action: 'look-again', state: 'dead', node: 0 },
  },
  {
    title: 'a primary that was shut down cleanly and stays down is replaced',
    topology: '0* shut down, no process, 1 2 well; pgpool: 0/0; second look',
    facts: { nodes: { 0: stoppedAt('0/5000000') } },
    request: { lasted: 0 },
    expected: { action: 'promote', state: 'dead', node: 1, formerPrimary: 0 },
  },
  {
    title: 'rule 2: a hung standby that an old %P names was no primary: it is not stopped',
    topology: '0* vanished, 1 well, 2 hung beside its standby.signal; pgpool: -1/2',
    facts: {
      nodes: { 0: vanished, 1: receivesNothing, 2: { ...frozen, host: { hasStandbySignal: true } } },
      pgpools: [pgpoolSees(null, { 0: 'down', 2: 'down' })],
    },
    request: { failedNode: null, oldPrimary: 2 },
    expected: { action: 'refuse', reason: 'primary-unknown' },
  },
  {
    title: 'rule 5: nor was a stopped one whose control file was last written in recovery',
    topology: '0* vanished, 1 well, 2 stopped in recovery; pgpool: -1/2',
    facts: {
      nodes: {
        0: vanished,
        1: receivesNothing,
        2: {
          ...stopped,
          host: {
            ...{ processes: 'none', hasStandbySignal: true },
            controlFile: {
              ...{ state: 'in archive recovery', systemIdentifier },
              checkpoint: { timeline: 1, lsn: '0/4000000' },
            },
          },
        },
      },
      pgpools: [pgpoolSees(null, { 0: 'down', 2: 'down' })],
    },
    request: { failedNode: null, oldPrimary: 2 },
    expected: { action: 'refuse', reason: 'primary-unknown' },
  },
];
