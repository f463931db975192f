// Stories for chooseCandidate: node 0, the former primary, is fenced; which node may succeed it? Told in
// candidate.test.ts.

import {
  at,
  frozen,
  makeConfiguration,
  onTimeline2,
  receiverFrom,
  stopped,
  stoppedAt,
  systemIdentifier,
  vanished,
} from '../builders';
import { type CandidateStory, evidenceStories } from './candidate-evidence-stories';

export type { CandidateStory } from './candidate-evidence-stories';

const foreign = '7999999999999999999';
const smallLag = { policy: { maximumLagBytes: 0x100 } };
const synchronous = (standbys: number) => ({ policy: { synchronous: { standbys, whenNone: 'degrade' as const } } });

const orderStories: readonly CandidateStory[] = [
  {
    title: 'equal in everything: the lowest id',
    topology: '1 = 2',
    facts: { nodes: { 0: stopped } },
    expected: { candidate: 1, lagBytes: null },
  },
  {
    title: 'the lowest id is behind and is not chosen',
    topology: '1 behind 2',
    facts: { nodes: { 0: stopped, 1: at('0/4FFFFF0') } },
    expected: { candidate: 2, lagBytes: null },
  },
  {
    title: 'LSNs are numbers, not text: 0/10000000 is more than 0/9000000',
    topology: '1 at 0/9000000, 2 at 0/10000000',
    facts: { nodes: { 0: stopped, 1: at('0/9000000'), 2: at('0/10000000') } },
    expected: { candidate: 2, lagBytes: null },
  },
  {
    title: 'the higher half counts first: 1/0 is more than 0/FFFFFFFF',
    topology: '1 at 0/FFFFFFFF, 2 at 1/0',
    facts: { nodes: { 0: stopped, 1: at('0/FFFFFFFF'), 2: at('1/0') } },
    expected: { candidate: 2, lagBytes: null },
  },
  {
    title: 'the greatest LSN before the fork loses to the newer timeline',
    topology: '1 at (1, 0/4FFFFF0), 2 at (2, 0/5000100), forked from 1 at 0/5000000',
    facts: { nodes: { 0: stopped, 1: at('0/4FFFFF0'), 2: { ...onTimeline2, walReceiver: receiverFrom(0, 2) } } },
    expected: { candidate: 2, lagBytes: null },
  },
  {
    title: 'a tie is broken by priority before the id',
    topology: '1 priority 10, 2 priority 20',
    configuration: makeConfiguration({ nodes: { 1: { priority: 10 }, 2: { priority: 20 } } }),
    facts: { nodes: { 0: stopped } },
    expected: { candidate: 2, lagBytes: null },
  },
  {
    title: 'a greater priority does not outweigh one byte of WAL',
    topology: '1 priority 10 and one byte ahead, 2 priority 1000',
    configuration: makeConfiguration({ nodes: { 1: { priority: 10 }, 2: { priority: 1000 } } }),
    facts: { nodes: { 0: stopped, 1: at('0/5000001') } },
    expected: { candidate: 1, lagBytes: null },
  },
  {
    title: 'a node of priority 0 is never a candidate; what it holds more is the lag',
    topology: '1 priority 0 and 0x10 ahead, 2 behind',
    configuration: makeConfiguration({ nodes: { 1: { priority: 0 } } }),
    facts: { nodes: { 0: stopped, 1: at('0/5000010') } },
    expected: { candidate: 2, lagBytes: 0x10 },
  },
  {
    title: 'a candidate that was tried and failed is passed over',
    topology: '1 excluded and ahead, 2 well',
    facts: { nodes: { 0: stopped, 1: at('0/5000010') } },
    request: { excluded: [1] },
    expected: { candidate: 2, lagBytes: 0x10 },
  },
  {
    title: 'a standby of another cluster that is far ahead is passed over',
    topology: '1 foreign system identifier, 2 well; the primary’s control file is known',
    facts: { nodes: { 0: stoppedAt('0/5000000'), 1: { ...at('9/0'), systemIdentifier: foreign } } },
    expected: { candidate: 2, lagBytes: 0 },
  },
  {
    title: 'the former primary’s control file decides which of two identifiers is ours, against the lower id',
    topology: '1 foreign, 2 ours',
    facts: { nodes: { 0: stoppedAt('0/4000000'), 1: { systemIdentifier: foreign } } },
    expected: { candidate: 2, lagBytes: 0 },
  },
  {
    title: 'a standby that does not answer is passed over',
    topology: '1 frozen, 2 well',
    facts: { nodes: { 0: stopped, 1: frozen } },
    expected: { candidate: 2, lagBytes: null },
  },
  {
    title: 'a standby whose position is unknown is passed over',
    topology: '1 has received nothing since it started, 2 well',
    facts: { nodes: { 0: stopped, 1: { position: null } } },
    expected: { candidate: 2, lagBytes: null },
  },
  {
    title: 'a standby whose replay is paused is a candidate: promote resumes it',
    topology: '1 paused and ahead, 2 well',
    facts: { nodes: { 0: stopped, 1: { ...at('0/5000010'), isReplayPaused: true } } },
    expected: { candidate: 1, lagBytes: null },
  },
];

const lagStories: readonly CandidateStory[] = [
  {
    title: 'the lag is measured against the dead primary’s control file',
    topology: '0 stopped at 0/5000100, 1 2 at 0/5000000',
    configuration: makeConfiguration(smallLag),
    facts: { nodes: { 0: stoppedAt('0/5000100') } },
    expected: { candidate: 1, lagBytes: 0x100 },
  },
  {
    title: 'one byte more than maximumLagBytes behind the dead primary is refused',
    topology: '0 stopped at 0/5000101, 1 2 at 0/5000000, at most 0x100',
    configuration: makeConfiguration(smallLag),
    facts: { nodes: { 0: stoppedAt('0/5000101') } },
    expected: { refusal: 'lag-exceeded' },
  },
  {
    title: 'too far behind a standby that may not be promoted is refused',
    topology: '1 priority 0 at 0/5000101, 2 at 0/5000000, at most 0x100',
    configuration: makeConfiguration({ ...smallLag, nodes: { 1: { priority: 0 } } }),
    facts: { nodes: { 0: stopped, 1: at('0/5000101') } },
    expected: { refusal: 'lag-exceeded' },
  },
  {
    title: 'a primary that stopped cleanly at the candidate’s position lost nothing',
    topology: '0 stopped at 0/5000000 = 1 = 2',
    facts: { nodes: { 0: stoppedAt('0/5000000') } },
    expected: { candidate: 1, lagBytes: 0 },
  },
  {
    title: 'nothing is known of the primary’s WAL: the lag is unknown, not zero',
    topology: '0 vanished, 1 2 well',
    configuration: makeConfiguration({ policy: { maximumLagBytes: 0 } }),
    facts: { nodes: { 0: vanished } },
    expected: { candidate: 1, lagBytes: null },
  },
  {
    title: 'a candidate that failed and fell silent held more than the next one has: its WAL still counts',
    topology: '0 stopped, 1 fenced after it failed at (1, 0/5000200), 2 at (1, 0/5000000), at most 0x100',
    configuration: makeConfiguration(smallLag),
    facts: { nodes: { 0: stopped, 1: stopped, 2: at('0/5000000') } },
    request: { excluded: [1], walOfFailedCandidates: [{ timeline: 1, lsn: '0/5000200' }] },
    expected: { refusal: 'lag-exceeded' },
  },
  {
    title: 'the dead primary was on a newer timeline that no standby has seen: a promotion would give its number twice',
    topology: '0 stopped at (2, 0/6000000), 1 2 at (1, 0/5000000)',
    facts: { nodes: { 0: stoppedAt('0/6000000', 2) } },
    expected: { refusal: 'diverged-branches' },
  },
  {
    title: 'a control file that is still on an older timeline says nothing about the lag',
    topology: '0 stopped, checkpoint (1, 0/4000000), 1 2 on timeline 2',
    facts: { nodes: { 0: stoppedAt('0/4000000'), 1: onTimeline2, 2: onTimeline2 } },
    expected: { candidate: 1, lagBytes: null },
  },
];

const refusalStories: readonly CandidateStory[] = [
  {
    title: 'no standby answers',
    topology: '1 stopped, 2 vanished',
    facts: { nodes: { 0: stopped, 1: stopped, 2: vanished } },
    expected: { refusal: 'no-candidate' },
  },
  {
    title: 'no standby may be promoted',
    topology: '1 2 priority 0',
    configuration: makeConfiguration({ nodes: { 1: { priority: 0 }, 2: { priority: 0 } } }),
    facts: { nodes: { 0: stopped } },
    expected: { refusal: 'no-candidate' },
  },
  {
    title: 'every standby belongs to another cluster than the dead primary',
    topology: '1 2 foreign',
    facts: { nodes: { 0: stoppedAt('0/1'), 1: { systemIdentifier: foreign }, 2: { systemIdentifier: foreign } } },
    expected: { refusal: 'no-candidate' },
  },
  {
    title: 'two standbys of different clusters and nobody to say which is ours',
    topology: '0 vanished, 1 foreign, 2 ours',
    facts: { nodes: { 0: vanished, 1: { systemIdentifier: foreign } } },
    expected: { refusal: 'no-candidate' },
  },
  {
    title: 'no standby can say which cluster it belongs to',
    topology: '0 vanished, 1 2 system identifier unknown',
    facts: { nodes: { 0: vanished, 1: { systemIdentifier: null }, 2: { systemIdentifier: null } } },
    expected: { refusal: 'no-candidate' },
  },
  {
    title: 'two branches from the same timeline: people decide which one is right',
    topology: '1 on timeline 2, 2 on timeline 3, both forked from 1',
    facts: {
      nodes: { 0: stopped, 1: onTimeline2, 2: { ...onTimeline2, position: { timeline: 3, lsn: '0/5000100' } } },
    },
    expected: { refusal: 'diverged-branches' },
  },
  {
    title: 'a standby that may not be promoted is on a newer timeline than the candidate',
    topology: '1 on timeline 1, 2 priority 0 on timeline 2',
    configuration: makeConfiguration({ nodes: { 2: { priority: 0 } } }),
    facts: { nodes: { 0: stopped, 2: onTimeline2 } },
    expected: { refusal: 'diverged-branches' },
  },
  {
    title: 'an excluded candidate had reached a newer timeline when it failed',
    topology: '1 excluded on timeline 2, 2 on timeline 1',
    facts: { nodes: { 0: stopped, 1: onTimeline2 } },
    request: { excluded: [1] },
    expected: { refusal: 'diverged-branches' },
  },
];

const synchronousStories: readonly CandidateStory[] = [
  {
    title: 'synchronous, one of two had to confirm and both answer',
    topology: 'ANY 1 of 1 2; 1 2 well',
    configuration: makeConfiguration(synchronous(1)),
    facts: { nodes: { 0: stopped } },
    expected: { candidate: 1, lagBytes: null },
  },
  {
    title: 'synchronous, and the standbys have other names than the cluster file says',
    topology: 'in force ANY 1 (shop_b, shop_c); both answer',
    facts: {
      nodes: { 0: stopped, 1: { applicationName: 'shop_b' }, 2: { applicationName: 'shop_c' } },
    },
    request: { formerSynchronousStandbyNames: 'ANY 1 (shop_b, shop_c)' },
    expected: { candidate: 1, lagBytes: null },
  },
  {
    title: 'synchronous, one of two had to confirm and only one answers',
    topology: 'ANY 1 of 1 2; 2 stopped',
    configuration: makeConfiguration(synchronous(1)),
    facts: { nodes: { 0: stopped, 2: stopped } },
    expected: { refusal: 'synchronous-set-unreachable' },
  },
  {
    title: 'the set in force on the dead primary counts, although the cluster file asks for none',
    topology: 'policy asynchronous, in force ANY 1 (node1, node2); 2 stopped',
    facts: { nodes: { 0: stopped, 2: stopped } },
    request: { formerSynchronousStandbyNames: 'ANY 1 (node1, node2)' },
    expected: { refusal: 'synchronous-set-unreachable' },
  },
  {
    title: 'the dead primary waited for nobody, whatever the cluster file asks for: no commit is elsewhere',
    topology: 'policy 1, in force none; 2 stopped',
    configuration: makeConfiguration(synchronous(1)),
    facts: { nodes: { 0: stopped, 2: stopped } },
    request: { formerSynchronousStandbyNames: '' },
    expected: { candidate: 1, lagBytes: null },
  },
  {
    title: 'the standby that confirmed the last commit is ahead but may not be promoted',
    topology: 'in force ANY 1 (node1, node2); 1 priority 0 and ahead, 2 behind within the lag',
    configuration: makeConfiguration({ nodes: { 1: { priority: 0 } } }),
    facts: { nodes: { 0: stopped, 1: at('0/5000010') } },
    request: { formerSynchronousStandbyNames: 'ANY 1 (node1, node2)' },
    expected: { refusal: 'synchronous-set-unreachable' },
  },
  {
    title: 'the standby that had to confirm is the one that is left',
    topology: 'in force FIRST 1 (node1); 2 stopped',
    facts: { nodes: { 0: stopped, 2: stopped } },
    request: { formerSynchronousStandbyNames: 'FIRST 1 (node1)' },
    expected: { candidate: 1, lagBytes: null },
  },
];

export const candidateStories: readonly CandidateStory[] = [
  ...orderStories,
  ...evidenceStories,
  ...lagStories,
  ...refusalStories,
  ...synchronousStories,
];

export const identifiers = [systemIdentifier, foreign] as const;
