// Every activity, bound to the worker's tools. Workflows import the type only.

import { observe } from './look/observe';
import { awaitRecovery } from './look/await-recovery';
import { watch } from './look/watch';
import { findOwnWal } from './look/find-own-wal';
import { fence } from './primary/fence';
import { promote } from './primary/promote';
import { setSynchronousStandbys } from './primary/set-synchronous-standbys';
import { repoint } from './standby/repoint';
import { configureStandby } from './standby/configure-standby';
import { start } from './standby/start';
import { stop } from './standby/stop';
import { confirmStreaming } from './standby/confirm-streaming';
import { releaseSlots } from './standby/release-slots';
import { inspectData } from './data/inspect-data';
import { saveConfiguration } from './data/save-configuration';
import { saveDivergedWal } from './data/save-diverged-wal';
import { saveUnarchivedWal } from './data/save-unarchived-wal';
import { baseBackup } from './data/base-backup';
import { verifyBackup } from './data/verify-backup';
import { removeData } from './data/remove-data';
import { setDataAside } from './data/set-data-aside';
import { placeData } from './data/place-data';
import { restoreConfiguration } from './data/restore-configuration';
import { clearReplacedData } from './data/clear-replaced-data';
import { conclude } from './incident/conclude';
import { confirmPrimary } from './pgpool/confirm-primary';
import { attach } from './pgpool/attach';
import { signalIncident } from './incident/signal-incident';
import type { Attempt } from './io/attempt';
import type { WorkerTools } from './io/tools';

const verbs = {
  observe,
  awaitRecovery,
  watch,
  findOwnWal,
  fence,
  promote,
  setSynchronousStandbys,
  repoint,
  configureStandby,
  start,
  stop,
  confirmStreaming,
  releaseSlots,
  inspectData,
  saveConfiguration,
  saveDivergedWal,
  saveUnarchivedWal,
  baseBackup,
  verifyBackup,
  removeData,
  setDataAside,
  placeData,
  restoreConfiguration,
  clearReplacedData,
  confirmPrimary,
  attach,
  conclude,
  signalIncident,
};

type Verbs = typeof verbs;

export type Activities = {
  [Name in keyof Verbs]: (input: Parameters<Verbs[Name]>[1]) => ReturnType<Verbs[Name]>;
};

/** Makes an attempt and hands it to the body; what the body throws, it turns into what its engine understands. */
export type RunAttempt = <T>(body: (attempt: Attempt) => Promise<T>) => Promise<T>;

export function createActivities(tools: WorkerTools, runAttempt: RunAttempt): Activities {
  const bound = Object.entries(verbs).map(([name, verb]) => {
    const act = verb as (...given: [unknown, unknown]) => Promise<unknown>;
    return [name, (input: unknown) => runAttempt((attempt) => act({ ...tools, attempt }, input))] as const;
  });
  return Object.fromEntries(bound) as unknown as Activities;
}
