// Every verb of the runbooks: its title for people, the reason for it, and its patience. A verb without a row does not
// compile.

import type { InputOf, ResultOf, VerbName } from './ground';

/** A verb's time limit and retries: workflows/patience.ts gives the reason for each. */
export type Patience =
  'reading' | 'critical' | 'promotion' | 'background' | 'startup' | 'job' | 'untilDone' | 'watching';

interface Verb<Name extends VerbName> {
  /** Act and node, as a row of the table on Temporal Web's page. */
  readonly title: (input: InputOf<Name>) => string;
  /** The reason, where the runbook gives none. */
  readonly why: string;
  readonly patience: Patience;
  /** Time limit in milliseconds, if it differs from the patience's. */
  readonly within?: (input: InputOf<Name>) => number;
  /** The sentence for a result without `line`. */
  readonly seen?: (result: ResultOf<Name>) => string;
}

type Verbs = { readonly [Name in VerbName]: Verb<Name> };

const dayMs = 86_400_000;
/** Time of a look, in addition to crashRecoveryMs for a recovering primary. */
const lookMs = 5000;

const ofNode =
  (what: string) =>
  ({ node }: { readonly node: number }): string =>
    `${what} node ${node}`;
const withNode =
  (what: string) =>
  ({ node }: { readonly node: number }): string =>
    `${what}, node ${node}`;

export const verbs: Verbs = {
  // Look
  observe: {
    title: ({ only }) => `Observe ${only ? only.map((node) => `node ${node}`).join(' and ') : 'every node'}`,
    why: 'decisions are made from what is measured',
    patience: 'reading',
    seen: ({ facts }) => facts.nodes.map(({ node, sqlSeen }) => `node ${node}: ${sqlSeen}`).join('; '),
  },
  awaitRecovery: {
    title: ofNode('Wait for'),
    why: 'it is starting, stopping or in crash recovery',
    patience: 'critical',
    within: ({ configuration }) => configuration.policy.crashRecoveryMs + lookMs,
  },
  watch: {
    title: ({ cluster }) => `Watch ${cluster}`,
    why: 'until something differs from the record',
    patience: 'watching',
  },
  findOwnWal: {
    title: withNode('Look past the fork'),
    why: 'is there a whole record past it?',
    patience: 'background',
  },
  // The primary
  fence: {
    title: ofNode('Fence'),
    why: 'it must accept no more writes',
    patience: 'critical',
    seen: ({ outcome, seen }) => `${outcome}: ${seen}`,
  },
  promote: {
    title: ({ candidate }) => `Promote node ${candidate}`,
    why: 'the plan chose it',
    patience: 'promotion',
  },
  setSynchronousStandbys: {
    title: () => 'Set the synchronous standbys',
    why: 'commits wait for the standbys that stream',
    patience: 'background',
  },
  // A standby
  repoint: {
    title: ofNode('Repoint'),
    why: 'it streams from the primary, by reload',
    patience: 'background',
    // The verb waits for as long as the standby's position advances.
    within: () => dayMs,
  },
  configureStandby: {
    title: withNode('Write the replication settings'),
    why: 'it is to stream from the primary',
    patience: 'background',
  },
  start: { title: ofNode('Start'), why: 'it comes up as a standby', patience: 'startup' },
  stop: { title: ofNode('Stop'), why: 'immediate: its data is replaced', patience: 'background' },
  confirmStreaming: { title: withNode('Prove streaming'), why: 'both ends must say so', patience: 'startup' },
  releaseSlots: {
    title: withNode('Release the slots'),
    why: 'WAL is no longer kept for a copy',
    patience: 'background',
  },
  // The node's data
  inspectData: {
    title: withNode('Inspect the data directory'),
    why: 'paths, links, space, owner',
    patience: 'background',
  },
  saveConfiguration: {
    title: withNode('Save the configuration'),
    why: 'for a later rebuild of the node',
    patience: 'background',
  },
  saveDivergedWal: { title: withNode('Save the WAL that no other node has'), why: 'from the fork on', patience: 'job' },
  saveUnarchivedWal: {
    title: withNode('Save the WAL that its archive does not have'),
    why: 'a standby archives none of it',
    patience: 'job',
  },
  baseBackup: { title: withNode('Base backup'), why: 'copy the primary', patience: 'job' },
  verifyBackup: { title: withNode('Verify the copy'), why: 'every file against its checksum', patience: 'job' },
  removeData: {
    title: withNode('Remove the old data'),
    why: 'by policy.replacedData: removeFirst',
    patience: 'job',
  },
  setDataAside: { title: withNode('Set the old data aside'), why: 'nothing is removed yet', patience: 'background' },
  placeData: { title: withNode('Put the copy in place'), why: 'by rename', patience: 'background' },
  restoreConfiguration: { title: withNode('Restore the configuration'), why: 'its own files', patience: 'background' },
  clearReplacedData: { title: withNode('Clear up'), why: 'by policy.replacedData', patience: 'job' },
  // pgpool
  confirmPrimary: {
    title: ({ pgpool }) => `Confirm ${pgpool}`,
    why: 'it must show the primary',
    patience: 'background',
  },
  attach: {
    title: ({ node, pgpool }) => `Attach node ${node} to ${pgpool}`,
    why: 'the node streams and may be used',
    patience: 'background',
  },
  // The incident
  conclude: {
    title: () => 'Write the record',
    why: 'later decisions rely on it',
    patience: 'untilDone',
  },
  signalIncident: {
    title: ({ node }) => `Tell the incident of node ${String(node)}`,
    why: 'it is back',
    patience: 'untilDone',
    seen: () => 'told',
  },
};

/** The text beside a verb's bar in Temporal Web, which cuts longer ones. */
export function summaryOf<Name extends VerbName>(name: Name, input: InputOf<Name>, why = verbs[name].why): string {
  const title = verbs[name].title(input);
  return `${title.charAt(0).toLowerCase()}${title.slice(1)}: ${why}`.slice(0, 200);
}

export function seenOf<Name extends VerbName>(name: Name, result: ResultOf<Name>): string {
  const { seen } = verbs[name];
  return seen ? seen(result) : (result as { readonly line: string }).line;
}
