// Another act on a node, as far as ours can see it: somebody who holds the node's lock until told to let go.
import { spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import path from 'node:path';

/** Resolves with the way to let go of the lock, once it is held, by the user whose directory it is in. It names itself as acts do. */
export async function holdLock(file: string): Promise<() => void> {
  const script = 'exec 9>>"$0"; flock 9; echo "$1, process $$" >"$0"; echo held; read line';
  const { uid, gid } = statSync(path.dirname(file));
  const child = spawn('sh', ['-c', script, file, 'rebuild of somebody'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    cwd: '/',
    ...(process.getuid?.() === 0 ? { uid, gid } : {}),
  });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  return () => {
    child.stdin.end();
  };
}
