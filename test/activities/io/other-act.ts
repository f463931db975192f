// Another act on a node, as far as ours can see it: somebody who holds the node's lock until told to let go.
import { spawn } from 'node:child_process';
import { chmodSync } from 'node:fs';

/** Resolves with the way to let go of the lock, once it is held. Anybody may open the file afterwards. */
export async function holdLock(file: string): Promise<() => void> {
  const script = 'echo "$1" >"$0"; echo held; read line';
  const child = spawn('flock', [file, 'sh', '-c', script, file, 'rebuild of somebody'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  chmodSync(file, 0o666);
  return () => {
    child.stdin.end();
  };
}
