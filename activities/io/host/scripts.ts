// The shell scripts that run on the nodes, from the files in sh/, read once: POSIX sh, sent on stdin, every value as an argument.
// Each file says what its arguments are and what it prints.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { joinScript, stripScript } from './join-scripts';

/** A file sh/NAME.sh each, its name in kebab-case. */
export const scriptNames = [
  ...(['look', 'readClock', 'probe', 'fence', 'holdLock', 'stop', 'start', 'readLog', 'readProgress'] as const),
  ...(['startJob', 'superviseJob', 'pollJob', 'endJob', 'removeJobs', 'listJobs'] as const),
  ...(['readConfiguration', 'saveConfiguration', 'restoreConfiguration', 'configureStandby'] as const),
  ...([
    'inspectData',
    'identify',
    'readMark',
    'lookAfterCopy',
    'baseBackup',
    'verifyBackup',
    'setAside',
    'place',
  ] as const),
  ...(['removeData', 'clearReplacedData', 'finishRebuild', 'removeLeftoverMarks'] as const),
  ...(['lookAtWal', 'findRecord', 'saveDivergedWal', 'lookAtUnarchived', 'saveUnarchived'] as const),
] as const;

export type ScriptName = (typeof scriptNames)[number];

export const scriptDirectory = join(__dirname, 'sh');

export function scriptFile(name: ScriptName): string {
  return join(scriptDirectory, `${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}.sh`);
}

const read = (name: ScriptName): string =>
  stripScript(joinScript(scriptDirectory, readFileSync(scriptFile(name), 'utf8')));

/** As they are sent. */
export const scripts = Object.fromEntries(scriptNames.map((name) => [name, read(name)])) as Readonly<
  Record<ScriptName, string>
>;

/** In a fresh copy once its node's own configuration is back: what people mend there afterwards stays. Holds the rebuild's id. */
export const restoredMarkName = 'pgpool-runbook.restored';
