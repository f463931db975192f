// Every activity, bound to the worker's tools. Workflows import the type only.

import { attach, type AttachInput } from './attach';
import { awaitRecovery, type AwaitRecoveryInput } from './await-recovery';
import { baseBackup, type BaseBackupInput } from './base-backup';
import { clearReplacedData, type ClearReplacedDataInput } from './clear-replaced-data';
import { configureStandby, type ConfigureStandbyInput } from './configure-standby';
import { confirmPrimary, type ConfirmPrimaryInput } from './confirm-primary';
import { confirmStreaming, type ConfirmStreamingInput } from './confirm-streaming';
import { fence, type FenceInput } from './fence';
import { findOwnWal, type FindOwnWalInput } from './find-own-wal';
import { inspectData, type InspectDataInput } from './inspect-data';
import { beatWhile } from './io/heartbeats';
import type { Tools } from './io/tools';
import { observe, type ObserveInput } from './observe';
import { placeData, type PlaceDataInput } from './place-data';
import { promote, type PromoteInput } from './promote';
import { readReturn, type ReadReturnInput } from './read-return';
import { releaseSlots, type ReleaseSlotsInput } from './release-slots';
import { removeData, type RemoveDataInput } from './remove-data';
import { repoint, type RepointInput } from './repoint';
import { restoreConfiguration, type RestoreConfigurationInput } from './restore-configuration';
import { saveConfiguration, type SaveConfigurationInput } from './save-configuration';
import { saveDivergedWal, type SaveDivergedWalInput } from './save-diverged-wal';
import { saveUnarchivedWal, type SaveUnarchivedWalInput } from './save-unarchived-wal';
import { setDataAside, type SetDataAsideInput } from './set-data-aside';
import { setSynchronousStandbys, type SetSynchronousStandbysInput } from './set-synchronous-standbys';
import { signalIncident, type SignalIncidentInput } from './signal-incident';
import { start, type StartInput } from './start';
import { stop, type StopInput } from './stop';
import { verifyBackup, type VerifyBackupInput } from './verify-backup';

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
