// Shared by the tests of moved and removed data: a verified copy made by hand, linked directories, tablespaces, mounts, listings.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { rebuildMarkName, type RebuildDirectory, type RebuildPlan } from '../../domain/facts/data-directory';
import { makeDirectoryFor, writeFor } from '../../lab/files';
import { runOrFail } from '../../lab/processes';
import { planOf } from './rebuild-support';
import type { Bed } from './support';
import { waitFor } from './support';

export const isRoot = process.getuid?.() === 0;

/** pg_basebackup of node 0 for node 1, with the node's own settings, marked as verified. */
export async function makeCopy(bed: Bed, plan: RebuildPlan, { mark = plan.rebuildId } = {}): Promise<void> {
  const [data, ...linked] = plan.directories;
  const { host, port } = bed.node(0);
  const { applicationName } = bed.node(1);
  const source = `host=${host} port=${port} user=replicator application_name=${applicationName} passfile=${bed.layout.worker.passFile}`;
  const options = linked.map(({ kind, sourceLocation, fresh }) =>
    kind === 'wal' ? `--waldir=${fresh}` : `--tablespace-mapping=${sourceLocation ?? ''}=${fresh}`,
  );
  const argv = ['-D', data!.fresh, '-d', source, '-R', '-c', 'fast', '--no-sync', '-w', ...options];
  await runOrFail(path.join(bed.layout.tools.postgresBin, 'pg_basebackup'), argv, { user: bed.layout.user });
  for (const name of ['postgresql.conf', 'pg_hba.conf'])
    writeFor(bed.layout.user, path.join(data!.fresh, name), settings.get(bed)![name]!);
  if (mark) writeFor(bed.layout.user, path.join(data!.fresh, rebuildMarkName), `${mark}\n`);
}

const settings = new WeakMap<Bed, Record<string, string>>();

/** To be called once, while node 1 has its own data. */
export async function prepare(bed: Bed): Promise<void> {
  const { dataDirectory } = bed.node(1);
  const read = (name: string): string => readFileSync(path.join(dataDirectory, name), 'utf8');
  settings.set(bed, { 'postgresql.conf': read('postgresql.conf'), 'pg_hba.conf': read('pg_hba.conf') });
  await bed.keep();
}

/** Everything beside the data directory that a test or a rebuild has made goes, then the nodes are as they were kept. */
export async function putBack(bed: Bed): Promise<void> {
  for (const point of mounted.splice(0)) execFileSync('umount', [point]);
  for (const { dataDirectory } of bed.configuration.nodes) {
    const parent = path.dirname(dataDirectory);
    for (const name of readdirSync(parent))
      if (/^(data\.|wal|ts)/.test(name)) rmSync(path.join(parent, name), { recursive: true, force: true });
  }
  const { jobs } = bed.configuration.paths;
  for (const name of readdirSync(jobs))
    if (!name.endsWith('.lock')) rmSync(path.join(jobs, name), { recursive: true, force: true });
  await bed.reset();
}

/** A path beside the data directory of node 1. */
export function beside(bed: Bed, name: string, node = 1): string {
  return path.join(path.dirname(bed.node(node).dataDirectory), name);
}

/** Moves pg_wal of the stopped node 1 to `to`, and links it. */
export function linkWal(bed: Bed, to: string): Partial<RebuildDirectory> {
  const wal = path.join(bed.node(1).dataDirectory, 'pg_wal');
  renameSync(wal, to);
  symlinkSync(to, wal);
  return { kind: 'wal', link: 'pg_wal', current: to };
}

/** A tablespace of the primary with a table in it. Node 1 must be stopped: here it would use the same directory. */
export async function createTablespace(bed: Bed, name: string): Promise<{ oid: string; location: string }> {
  const location = beside(bed, `ts-${name}`, 0);
  makeDirectoryFor(bed.layout.user, location, 0o700);
  await bed.ask(0, `create tablespace ${name} location '${location}'`);
  await bed.ask(0, `create table in_${name} tablespace ${name} as select generate_series(1, 1000) as id`);
  const { oid } = await bed.ask(0, `select oid::text as oid from pg_tablespace where spcname = '${name}'`);
  return { oid: String(oid), location };
}

const mounted: string[] = [];

/** Needs root. putBack() unmounts it. */
export function mountSmall(bed: Bed, at: string, megabytes: number): void {
  makeDirectoryFor(bed.layout.user, at, 0o700);
  const { uid, gid } = bed.layout.user;
  const options = `size=${megabytes}m,mode=700,uid=${uid},gid=${gid}`;
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', at]);
  mounted.unshift(at);
}

/** Node 1, stopped, with pg_wal and a tablespace on paths of their own, one with a blank: for planOf(). */
export async function linkOut(bed: Bed): Promise<Partial<RebuildDirectory>[]> {
  await bed.stop(1);
  const { oid, location } = await createTablespace(bed, 'one');
  const linked: Partial<RebuildDirectory>[] = [
    { kind: 'wal', link: 'pg_wal', current: beside(bed, 'wal of node 1') },
    { kind: 'tablespace', link: oid, sourceLocation: location, current: beside(bed, 'ts-own') },
  ];
  rmSync(bed.node(1).dataDirectory, { recursive: true });
  const plan = planOf(bed.node(1).dataDirectory, { linked });
  const directories = plan.directories.map((directory) => ({ ...directory, fresh: directory.current }));
  await makeCopy(bed, { ...plan, directories }, { mark: '' });
  await expectStreaming(bed);
  await bed.stop(1);
  return linked;
}

/** A program that passes for a PostgreSQL process that works in `directory`; the result ends it. */
export async function occupy(bed: Bed, directory: string): Promise<() => Promise<void>> {
  const program = beside(bed, 'ts-program/postgres');
  makeFor(bed, path.dirname(program));
  copyFileSync('/bin/sleep', program);
  chmodSync(program, 0o755);
  const { uid, gid } = bed.layout.user;
  const child = spawn(program, ['600'], { cwd: directory, uid, gid, stdio: 'ignore' });
  await once(child, 'spawn');
  return async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
    rmSync(path.dirname(program), { recursive: true });
  };
}

/** Names, types, sizes and link targets of everything below; equal text means that nothing was touched. */
export function listing(directory: string): string {
  if (!existsSync(directory)) return 'none';
  return execFileSync('find', [directory, '-printf', '%P %y %s %l\n'], { encoding: 'utf8' })
    .split('\n')
    .sort()
    .join('\n');
}

/** The same of all that lies on node 1, but for what its servers write by themselves. */
export function listingOfNode(bed: Bed): string {
  return listing(path.dirname(bed.node(1).dataDirectory)).replaceAll(/^(sshd|postgres\.log|\.s\.).*\n/gm, '');
}

export function readMark(directory: string): string | null {
  const file = path.join(directory, rebuildMarkName);
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : null;
}

export function writeMark(bed: Bed, directory: string, mark: string): void {
  writeFor(bed.layout.user, path.join(directory, rebuildMarkName), `${mark}\n`);
}

/** Starts node 1 as it lies, and waits until it streams from node 0. */
export async function expectStreaming(bed: Bed): Promise<void> {
  await bed.lab.start(1);
  const text = `select count(*)::int as n from pg_stat_replication where state = 'streaming' and application_name = 'node1'`;
  await waitFor(async () => (await bed.ask(0, text))['n'] === 1, { what: 'node 1 to stream', timeoutMs: 15_000 });
}

/** Rows of a table of the primary as node 1 has them, once it has caught up. */
export async function expectRows(bed: Bed, table: string, count: number): Promise<void> {
  const rows = async (): Promise<unknown> => (await bed.ask(1, `select count(*)::int as n from ${table}`))['n'];
  await waitFor(async () => (await rows().catch(() => null)) === count, {
    what: `${table} on node 1`,
    timeoutMs: 10_000,
  });
}

/** The directory's owner and mode as the lab's user has them. */
export function makeFor(bed: Bed, directory: string, files: readonly string[] = []): void {
  makeDirectoryFor(bed.layout.user, directory, 0o700);
  for (const file of files) writeFor(bed.layout.user, path.join(directory, file), 'x\n');
}

export function touchAsRoot(file: string): void {
  writeFileSync(file, '');
}
