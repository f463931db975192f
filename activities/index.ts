// Every activity, bound to the worker's tools. Workflows import the type only.

import { attach, type AttachInput } from './pgpool/attach';
import { awaitRecovery, type AwaitRecoveryInput } from './look/await-recovery';
import { baseBackup, type BaseBackupInput } from './data/base-backup';
import { clearReplacedData, type ClearReplacedDataInput } from './data/clear-replaced-data';
import { configureStandby, type ConfigureStandbyInput } from './standby/configure-standby';
import { confirmPrimary, type ConfirmPrimaryInput } from './pgpool/confirm-primary';
import { confirmStreaming, type ConfirmStreamingInput } from './standby/confirm-streaming';
import { fence, type FenceInput } from './primary/fence';
import { findOwnWal, type FindOwnWalInput } from './look/find-own-wal';
import { inspectData, type InspectDataInput } from './data/inspect-data';
import { beatWhile } from './io/heartbeats';
import type { Tools } from './io/tools';
import { observe, type ObserveInput } from './look/observe';
import { placeData, type PlaceDataInput } from './data/place-data';
import { promote, type PromoteInput } from './primary/promote';
import { readReturn, type ReadReturnInput } from './look/read-return';
import { releaseSlots, type ReleaseSlotsInput } from './standby/release-slots';
import { removeData, type RemoveDataInput } from './data/remove-data';
import { repoint, type RepointInput } from './standby/repoint';
import { restoreConfiguration, type RestoreConfigurationInput } from './data/restore-configuration';
import { saveConfiguration, type SaveConfigurationInput } from './data/save-configuration';
import { saveDivergedWal, type SaveDivergedWalInput } from './data/save-diverged-wal';
import { saveUnarchivedWal, type SaveUnarchivedWalInput } from './data/save-unarchived-wal';
import { setDataAside, type SetDataAsideInput } from './data/set-data-aside';
import { setSynchronousStandbys, type SetSynchronousStandbysInput } from './primary/set-synchronous-standbys';
import { signalIncident, type SignalIncidentInput } from './incident/signal-incident';
import { start, type StartInput } from './standby/start';
import { stop, type StopInput } from './standby/stop';
import { verifyBackup, type VerifyBackupInput } from './data/verify-backup';

export function createActivities(tools: Tools) {
  return {
    observe: (input: ObserveInput) => beating(observe(tools, input)),
    awaitRecovery: (input: AwaitRecoveryInput) => beating(awaitRecovery(tools, input)),
    fence: (input: FenceInput) => beating(fence(tools, input)),
    promote: (input: PromoteInput) => beating(promote(tools, input)),
    confirmPrimary: (input: ConfirmPrimaryInput) => beating(confirmPrimary(input)),
    repoint: (input: RepointInput) => beating(repoint(tools, input)),
    attach: (input: AttachInput) => beating(attach(input)),
    setSynchronousStandbys: (input: SetSynchronousStandbysInput) => beating(setSynchronousStandbys(tools, input)),
    // Its one heartbeat tells the next attempt something, and it is over within two seconds.
    readReturn: (input: ReadReturnInput) => readReturn(tools, input),
    saveConfiguration: (input: SaveConfigurationInput) => beating(saveConfiguration(tools, input)),
    restoreConfiguration: (input: RestoreConfigurationInput) => beating(restoreConfiguration(tools, input)),
    configureStandby: (input: ConfigureStandbyInput) => beating(configureStandby(tools, input)),
    // These beat themselves: an empty beat would overwrite the progress.
    saveDivergedWal: (input: SaveDivergedWalInput) => saveDivergedWal(tools, input),
    saveUnarchivedWal: (input: SaveUnarchivedWalInput) => saveUnarchivedWal(tools, input),
    baseBackup: (input: BaseBackupInput) => baseBackup(tools, input),
    verifyBackup: (input: VerifyBackupInput) => verifyBackup(tools, input),
    removeData: (input: RemoveDataInput) => removeData(tools, input),
    clearReplacedData: (input: ClearReplacedDataInput) => clearReplacedData(tools, input),
    releaseSlots: (input: ReleaseSlotsInput) => beating(releaseSlots(tools, input)),
    findOwnWal: (input: FindOwnWalInput) => beating(findOwnWal(tools, input)),
    stop: (input: StopInput) => beating(stop(tools, input)),
    start: (input: StartInput) => beating(start(tools, input)),
    confirmStreaming: (input: ConfirmStreamingInput) => beating(confirmStreaming(tools, input)),
    inspectData: (input: InspectDataInput) => beating(inspectData(tools, input)),
    setDataAside: (input: SetDataAsideInput) => beating(setDataAside(tools, input)),
    placeData: (input: PlaceDataInput) => beating(placeData(tools, input)),
    signalIncident: (input: SignalIncidentInput) => beating(signalIncident(tools, input)),
  };
}

export type Activities = ReturnType<typeof createActivities>;

/** For what has no progress to show. */
async function beating<T>(running: Promise<T>): Promise<T> {
  return await beatWhile(
    () => undefined,
    () => running,
  );
}
