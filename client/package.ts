// Files that ship beside the compiled code.

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Absolute path of a file of this package; compiled code lies one folder deeper than its source. */
export function findPackageFile(path: string): string {
  let root = __dirname;
  while (!existsSync(join(root, 'package.json')) && root !== dirname(root)) root = dirname(root);
  return join(root, path);
}
