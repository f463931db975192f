// Every activity, bound to the worker's tools. Workflows import the type only.

import { Context } from '@temporalio/activity';
import { attach, type AttachInput } from './attach';
import { awaitRecovery, type AwaitRecoveryInput } from './await-recovery';
import { confirmPrimary, type ConfirmPrimaryInput } from './confirm-primary';
import { fence, type FenceInput } from './fence';
import type { Tools } from './io/tools';
import { observe, type ObserveInput } from './observe';
import { promote, type PromoteInput } from './promote';
import { readReturn, type ReadReturnInput } from './read-return';
import { repoint, type RepointInput } from './repoint';
import { setSynchronousStandbys, type SetSynchronousStandbysInput } from './set-synchronous-standbys';
import { signalIncident, type SignalIncidentInput } from './signal-incident';

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
    readReturn: (input: ReadReturnInput) => beating(readReturn(tools, input)),
    signalIncident: (input: SignalIncidentInput) => beating(signalIncident(tools, input)),
  };
}

export type Activities = ReturnType<typeof createActivities>;

const beatMs = 500;

/** Heartbeats while the activity runs, so that a dead worker is noticed within seconds and a cancellation arrives. */
async function beating<T>(running: Promise<T>): Promise<T> {
  const context = Context.current();
  const timer = setInterval(() => {
    context.heartbeat();
  }, beatMs);
  try {
    return await running;
  } finally {
    clearInterval(timer);
  }
}
