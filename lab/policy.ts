// Changes the policy of a lab's cluster file, as a person with an editor would; the worker reads the file again at
// every look.

import { chmodSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { parseDocument } from 'yaml';
import type { PolicyConfiguration } from '../domain/facts/cluster';
import type { Lab } from './lab';

export function setPolicy(lab: Lab, policy: Partial<PolicyConfiguration>): void {
  const document = parseDocument(readFileSync(lab.clusterFile, 'utf8'));
  for (const [key, value] of Object.entries(policy)) document.setIn(['policy', key], value);
  // Replaced in one go, so that no look reads half a file.
  writeFileSync(`${lab.clusterFile}.new`, document.toString());
  chmodSync(`${lab.clusterFile}.new`, 0o644);
  renameSync(`${lab.clusterFile}.new`, lab.clusterFile);
}
