// Copies of files that the lab's user must run or read but cannot reach, such as a clone under /root: made once, beside
// the labs, for all of them.
// Copies are named by content and never changed; the last lab to go down removes them.
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { copy, copyTree, isWanted, linkOrCopy, listFiles, listProductionPackages } from './clone';
import { baseDirectory, type Layout } from './layout';
import { run } from './processes';
import { waitFor } from './wait';
import { findCloneRoot } from './tools';
import { listLabNames, releaseShared, tryLockShared } from './state';

const sharedDirectory = (): string => path.join(baseDirectory(), '.shared');

async function canRead(layout: Layout, files: readonly string[]): Promise<boolean> {
  const script = 'for file; do test -r "$file" || exit 1; done';
  return (await run('/bin/sh', ['-c', script, 'sh', ...files], { user: layout.user })).code === 0;
}

/** The program itself where the lab's user can run it, otherwise a shared copy. */
export async function usablePath(layout: Layout, program: string): Promise<string> {
  if (await canRead(layout, [program])) return program;
  const { size, mtimeMs } = statSync(program);
  const name = `${path.basename(program)}-${size}-${Math.trunc(mtimeMs)}`;
  const directory = await share(name, (target) => {
    linkOrCopy(program, path.join(target, path.basename(program)));
  });
  return path.join(directory, path.basename(program));
}

/** A directory that holds dist and the production packages: the clone where the lab's user can read it, otherwise a shared copy. */
export async function usableClone(layout: Layout): Promise<string> {
  const root = findCloneRoot();
  const witnesses = [
    'client/pgpool-runbook.js',
    'dist/client/cli.js',
    'dist/worker/main.js',
    'node_modules/@temporalio/worker/package.json',
    'package.json',
  ];
  const missing = witnesses.find((file) => !existsSync(path.join(root, file)));
  if (missing)
    throw new Error(`${path.join(root, missing)} is missing: run npm run lab -- status, which installs and compiles`);
  if (
    await canRead(
      layout,
      witnesses.map((file) => path.join(root, file)),
    )
  )
    return root;
  const hash = createHash('sha256');
  for (const name of ['client', 'dist']) {
    for (const file of listFiles(path.join(root, name), () => true)) hash.update(file).update(readFileSync(file));
  }
  hash.update(readFileSync(path.join(root, 'package-lock.json')));
  return share(`clone-${hash.digest('hex').slice(0, 16)}`, (target) => {
    copy(path.join(root, 'package.json'), path.join(target, 'package.json'));
    for (const name of ['client', 'dist']) copyTree(path.join(root, name), path.join(target, name), copy, () => true);
    for (const name of listProductionPackages(root))
      copyTree(path.join(root, name), path.join(target, name), linkOrCopy, isWanted);
  });
}

/** The shared directory `name`, made by `fill` when it does not exist; appears complete or not at all. */
async function share(name: string, fill: (directory: string) => void): Promise<string> {
  const directory = path.join(sharedDirectory(), name);
  await withSharedLock(() => {
    if (existsSync(directory)) return;
    if (mkdirSync(sharedDirectory(), { recursive: true }) !== undefined) chmodSync(sharedDirectory(), 0o755);
    const temporary = mkdtempSync(path.join(sharedDirectory(), '.new-'));
    chmodSync(temporary, 0o755);
    fill(temporary);
    renameSync(temporary, directory);
  });
  return directory;
}

/** Removes the shared copies and the base directory when no lab is left. */
export async function removeSharedIfUnused(): Promise<void> {
  if (!existsSync(baseDirectory())) return;
  await withSharedLock(() => {
    if (listLabNames().length === 0) rmSync(sharedDirectory(), { recursive: true, force: true });
  });
}

async function withSharedLock(work: () => void): Promise<void> {
  await waitFor(tryLockShared, { what: 'another lab to finish copying', timeoutMs: 120_000 });
  try {
    work();
  } finally {
    releaseShared();
  }
}
