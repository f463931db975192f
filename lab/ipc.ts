// System V shared memory and semaphores that killed servers leave in the kernel, where removing a directory does not
// remove them.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { Layout } from './layout';
import { readRecord, run } from './processes';

/** Rows of /proc/sysvipc/shm or sem whose owner is the lab's user, without the heading. */
function readTable(name: 'shm' | 'sem', layout: Layout): string[][] {
  const owner = name === 'shm' ? 7 : 4;
  return readFileSync(`/proc/sysvipc/${name}`, 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[owner] === String(layout.user.uid));
}

/**
 * Removes the leftovers of the lab's dead servers: unattached segments, created by one of `pids` or named in a
 * postmaster's pid file, and semaphores last touched by one of `pids`, unless a living process has touched them.
 */
export async function removeIpc(layout: Layout, pids: ReadonlySet<number>): Promise<void> {
  const { user } = layout;
  const named = readPidFileSegments(layout);
  for (const [, id, , , creator, , attached] of readTable('shm', layout)) {
    if (id && attached === '0' && (named.has(id) || pids.has(Number(creator))))
      await run('ipcrm', ['-m', id], { user });
  }
  for (const [, id] of readTable('sem', layout)) {
    if (id && (await isLeftBy(id, pids, layout))) await run('ipcrm', ['-s', id], { user });
  }
}

/**
 * Line 7 of postmaster.pid: "key id" (PostgreSQL source, utils/pidfile.h). A server that stops cleanly removes the
 * file.
 */
function readPidFileSegments(layout: Layout): Set<string> {
  const files = layout.nodes
    .filter(({ directory }) => existsSync(directory))
    .flatMap(({ directory }) => readdirSync(directory).map((name) => path.join(directory, name, 'postmaster.pid')));
  const ids = files.map((file) => readIfThere(file).split('\n')[6]);
  return new Set(ids.flatMap((line) => line?.trim().split(/\s+/)[1] ?? []));
}

/** Empty without the file: a server may be removing it now. */
function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** /proc has no pids for semaphores; ipcs prints them as the fifth column: semnum value ncount zcount pid. */
// pgpool starts new children at every failover, so many of these pids are unknown by now.
async function isLeftBy(id: string, pids: ReadonlySet<number>, layout: Layout): Promise<boolean> {
  const { stdout } = await run('ipcs', ['-s', '-i', id], { user: layout.user });
  const touched = [...stdout.matchAll(/^\d+\s+\d+\s+\d+\s+\d+\s+(\d+)\s*$/gm)].map((match) => Number(match[1]));
  return touched.some((pid) => pids.has(pid)) && touched.every((pid) => pids.has(pid) || !readRecord(pid));
}
