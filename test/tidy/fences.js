// The allowed imports of each folder: the table of the design, for eslint and for the tidy test alike.
// A file takes the row with the longest path that it starts with; targets are paths from the root, without extension.
'use strict';
const path = require('node:path');

/** `imports`: values and types; `types`: only types; `packages`: npm and node:, `node:*` = all of node. Other folders are free. */
const fences = {
  domain: { imports: ['domain'], types: [], packages: [] },
  'domain/facts': { imports: ['domain/facts'], types: [], packages: [] },
  'domain/texts': { imports: ['domain/facts', 'domain/texts'], types: [], packages: [] },
  configuration: { imports: ['domain', 'configuration'], types: [], packages: ['yaml', 'valibot', 'node:fs'] },
  workflows: {
    imports: ['domain', 'workflows'],
    types: ['configuration', 'activities'],
    packages: ['@temporalio/workflow', '@temporalio/common'],
  },
  'workflows/runbooks': {
    imports: ['domain', 'workflows/runbooks'],
    types: ['configuration', 'activities'],
    packages: [],
  },
  activities: {
    imports: ['domain', 'activities/io'],
    types: ['configuration', 'activities'],
    packages: [],
  },
  'activities/index': { imports: ['domain', 'activities'], types: ['configuration'], packages: [] },
  'activities/io': {
    imports: ['domain', 'activities/io'],
    types: ['configuration'],
    packages: ['node:*'],
  },
  'activities/io/sql': { imports: ['domain', 'activities/io'], types: ['configuration'], packages: ['pg', 'node:*'] },
  'activities/io/ssh': { imports: ['domain', 'activities/io'], types: ['configuration'], packages: ['ssh2', 'node:*'] },
  worker: {
    imports: ['domain', 'configuration', 'activities', 'worker'],
    types: [],
    // The client registers search attributes and signals incidents (docs/decisions/0008). ApplicationFailureCategory is exported by common only.
    packages: [
      '@temporalio/worker',
      '@temporalio/client',
      '@temporalio/activity',
      '@temporalio/common',
      '@temporalio/envconfig',
      'node:*',
    ],
  },
  client: {
    imports: ['domain', 'configuration', 'client', 'workflows/messages'],
    types: ['workflows'],
    packages: [
      '@temporalio/client',
      '@temporalio/common',
      '@temporalio/envconfig',
      'commander',
      'picocolors',
      'node:*',
    ],
  },
  // `pgpool-runbook worker` is the one command that does not only talk to Temporal.
  'client/commands/worker': {
    imports: ['domain', 'configuration', 'client', 'worker'],
    types: ['workflows'],
    packages: ['commander', 'picocolors', 'node:*'],
  },
};

const isWithin = (target, prefix) => target === prefix || target.startsWith(`${prefix}/`);

function findRow(file) {
  const matching = Object.keys(fences).filter((key) => isWithin(file, key));
  return matching.sort((left, right) => right.length - left.length)[0];
}

function isPackageAllowed(specifier, allowed) {
  return allowed.some((name) => (name === 'node:*' ? specifier.startsWith('node:') : isWithin(specifier, name)));
}

/**
 * Null when the import is allowed, else a sentence. `file` is relative to the root, with slashes;
 * `specifier` is as written; `isTypeOnly` says that nothing remains of it at run time.
 */
function explainImport(file, specifier, isTypeOnly) {
  const row = findRow(file.replace(/\.[a-z]+$/, ''));
  if (!row) return null;
  const { imports, types, packages } = fences[row];
  if (!specifier.startsWith('.')) {
    if (isPackageAllowed(specifier, packages)) return null;
    return `${row}/ must not import ${specifier} (allowed packages: ${packages.join(', ') || 'none'})`;
  }
  const target = path.posix.join(path.posix.dirname(file), specifier).replace(/\.[cm]?[jt]s$/, '');
  if (imports.some((prefix) => isWithin(target, prefix))) return null;
  if (!types.some((prefix) => isWithin(target, prefix))) return `${row}/ must not import ${target}`;
  return isTypeOnly ? null : `${row}/ may import only types of ${target}: write "import type"`;
}

module.exports = { explainImport };
