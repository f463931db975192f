// Everything that the workflow `cluster` knows, as one description of it shows while no worker runs: its memo, and the last words of its watches.

import { recordedMemoName, watchedMemoName } from './names';
import { parseRecorded } from './record';
import { type Known, newerState, parseWatchState } from './watch';

/** @param heartbeats of the pending watches: beside the running one there may be an earlier one that has not noticed its cancellation */
export function parseKnown(memo: Readonly<Record<string, unknown>> | undefined, heartbeats: readonly unknown[]): Known {
  return {
    recorded: parseRecorded(memo?.[recordedMemoName]),
    watch: heartbeats.map(parseWatchState).reduce(newerState, parseWatchState(memo?.[watchedMemoName])),
  };
}
