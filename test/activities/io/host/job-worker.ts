// A worker in a process of its own that follows a job and dies by SIGKILL once its heartbeat has seen the log say "dying time".
import { type JobInput, runJob } from '../../../../activities/io/host/jobs';
import { SshConnections } from '../../../../activities/io/ssh/ssh';
import type { WorkerTools } from '../../../../activities/io/tools';
import { asScript } from '../../../host/support';
import { createEnvironment, inAttempt } from '../../support';

/** Called by support.ts's loader. */
export async function workUntilDeath(input: JobInput): Promise<void> {
  asScript(input.script);
  const environment = createEnvironment();
  environment.on('heartbeat', (log: string) => {
    if (log.includes('dying time')) process.kill(process.pid, 'SIGKILL');
  });
  const tools = { ssh: new SshConnections() } as unknown as WorkerTools;
  await inAttempt(tools, (given) => runJob(given, input, (log) => log), environment);
}
