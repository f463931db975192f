// The bound of each activity's own waits fits into the time limit that its patience gives it. Else Temporal would end the attempt
// in the middle of an act, and people would read of a time-out instead of the activity's own sentence.

import { msOptionalToNumber } from '@temporalio/common/lib/time';
import { boundMs as baseBackup } from '../../activities/data/base-backup';
import { boundMs as clearReplacedData } from '../../activities/data/clear-replaced-data';
import { boundMs as inspectData } from '../../activities/data/inspect-data';
import { boundMs as placeData } from '../../activities/data/place-data';
import { boundMs as removeData } from '../../activities/data/remove-data';
import { boundMs as restoreConfiguration } from '../../activities/data/restore-configuration';
import { boundMs as saveConfiguration } from '../../activities/data/save-configuration';
import { boundMs as saveDivergedWal } from '../../activities/data/save-diverged-wal';
import { boundMs as saveUnarchivedWal } from '../../activities/data/save-unarchived-wal';
import { boundMs as setDataAside } from '../../activities/data/set-data-aside';
import { boundMs as verifyBackup } from '../../activities/data/verify-backup';
import { boundMs as conclude } from '../../activities/incident/conclude';
import { boundMs as signalIncident } from '../../activities/incident/signal-incident';
import { boundMs as beyondRecovery } from '../../activities/look/await-recovery';
import { boundMs as findOwnWal } from '../../activities/look/find-own-wal';
import { boundMs as observe } from '../../activities/look/observe';
import { boundMs as betweenHeartbeats } from '../../activities/look/watch';
import { boundMs as attach } from '../../activities/pgpool/attach';
import { boundMs as confirmPrimary } from '../../activities/pgpool/confirm-primary';
import { boundMs as fence } from '../../activities/primary/fence';
import { boundMs as promote } from '../../activities/primary/promote';
import { boundMs as setSynchronousStandbys } from '../../activities/primary/set-synchronous-standbys';
import { boundMs as configureStandby } from '../../activities/standby/configure-standby';
import { boundMs as confirmStreaming } from '../../activities/standby/confirm-streaming';
import { boundMs as releaseSlots } from '../../activities/standby/release-slots';
import { boundMs as repoint } from '../../activities/standby/repoint';
import { boundMs as start } from '../../activities/standby/start';
import { boundMs as stop } from '../../activities/standby/stop';
import { openMs } from '../../worker/record';
import { patience } from '../../workflows/patience';
import type { VerbName } from '../../workflows/runbooks/ground';
import { verbs } from '../../workflows/runbooks/verbs';
import { makeConfiguration } from '../domain/builders';

const configuration = makeConfiguration({ policy: { crashRecoveryMs: 60_000 } });

/** The time that the program itself may take between its waits. */
const marginMs = 500;

/** A verb that is missing here does not compile. */
const bounds: Readonly<Record<VerbName, number>> = {
  observe,
  awaitRecovery: configuration.policy.crashRecoveryMs + beyondRecovery,
  watch: betweenHeartbeats + openMs,
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

/** The watch goes on for as long as nothing differs, and only its heartbeats have a limit. */
function limitOf(name: VerbName): number {
  const { patience: kind, within } = verbs[name];
  if (within) return within({ configuration } as never);
  return msOptionalToNumber(patience[kind][kind === 'watching' ? 'heartbeatTimeout' : 'startToCloseTimeout']) ?? 0;
}

test.each(Object.keys(verbs) as VerbName[])('%s ends by itself within its time limit', (name) => {
  expect(bounds[name] + marginMs).toBeLessThanOrEqual(limitOf(name));
});
