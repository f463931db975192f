// Finds the files of a clone that the product needs to run, and copies them, without using space where possible.
import { chmodSync, copyFileSync, existsSync, linkSync, mkdirSync, readFileSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';

interface LockedPackage {
  readonly dev?: boolean;
}

/** Packages that package-lock.json does not mark as development only and that are installed (optional ones may not be). */
export function listProductionPackages(root: string): string[] {
  const lock = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, LockedPackage>;
  };
  return Object.entries(lock.packages)
    .filter(([name, { dev }]) => name !== '' && dev !== true && existsSync(path.join(root, name)))
    .map(([name]) => name);
}

/** Excludes nested packages, which have entries of their own, and the native libraries of other platforms. */
export function isWanted(name: string, parent: string): boolean {
  if (name === 'node_modules') return false;
  if (!parent.endsWith('core-bridge/releases')) return true;
  return name.startsWith(process.arch === 'arm64' ? 'aarch64' : 'x86_64') && name.includes('linux');
}

export function listFiles(directory: string, wants: (name: string, parent: string) => boolean): string[] {
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => wants(entry.name, directory))
    .sort((left, right) => (left.name < right.name ? -1 : 1))
    .flatMap((entry) => {
      const file = path.join(directory, entry.name);
      if (entry.isDirectory()) return listFiles(file, wants);
      return entry.isFile() ? [file] : [];
    });
}

/**
 * `put` is linkOrCopy for files that are only ever replaced, and copy for files that are rewritten in place (a
 * compiler's output).
 */
export function copyTree(
  from: string,
  to: string,
  put: (from: string, to: string) => void,
  wants: (name: string, parent: string) => boolean,
): void {
  for (const file of listFiles(from, wants)) {
    const target = path.join(to, path.relative(from, file));
    makeReadableDirectories(path.dirname(target));
    put(file, target);
  }
}

function makeReadableDirectories(directory: string): void {
  if (existsSync(directory)) return;
  makeReadableDirectories(path.dirname(directory));
  mkdirSync(directory);
  chmodSync(directory, 0o755);
}

/** A hard link costs nothing, but works only within one file system, and keeps the file's mode. */
export function linkOrCopy(from: string, to: string): void {
  const isOpen = (statSync(from).mode & 0o004) !== 0;
  try {
    if (isOpen) {
      linkSync(from, to);
      return;
    }
  } catch {
    // The other file system cannot be linked to, so copy below.
  }
  copy(from, to);
}

/** Copies a file, readable for every user, and executable if it was. */
export function copy(from: string, to: string): void {
  copyFileSync(from, to);
  chmodSync(to, (statSync(from).mode & 0o111) === 0 ? 0o644 : 0o755);
}
