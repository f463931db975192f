// Creates files that the user of the lab's programs owns and reads, whatever our file mode mask.
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import type { SystemUser } from './processes';

/** Mode 0600 by default, because most of the lab's files are private to its user. */
export function writeFor(user: SystemUser, file: string, text: string, mode = 0o600): void {
  writeFileSync(file, text, { mode });
  chmodSync(file, mode);
  chownSync(file, user.uid, user.gid);
}

export function makeDirectoryFor(user: SystemUser, directory: string, mode = 0o755): void {
  mkdirSync(directory, { mode });
  chmodSync(directory, mode);
  chownSync(directory, user.uid, user.gid);
}
