// TypeScript and shell → dist/, only when a source, the configuration or the compiler has changed since the last good build.
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { SetupError, run, tail } = require('./run.js');
const { withLock } = require('./lock.js');
const { clonePath } = require('./packages.js');

const stamp = path.join('dist', '.built');
const excluded = new Set(['node_modules', 'dist', 'test', 'docs', 'coverage']);

function listSources(root, folder = '') {
  const sources = [];
  for (const entry of fs.readdirSync(path.join(root, folder), { withFileTypes: true })) {
    const name = path.join(folder, entry.name);
    if (entry.isDirectory()) {
      if (!entry.name.startsWith('.') && !excluded.has(entry.name)) sources.push(...listSources(root, name));
    } else if (/\.(ts|sh)$/.test(entry.name)) {
      sources.push(name);
    }
  }
  return sources;
}

/** One line per input file: path, time, size. A checkout of an older file changes it too, unlike "newer than". */
function fingerprint(root) {
  const inputs = [...listSources(root), 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json'].sort();
  return inputs.map((name) => {
    const { mtimeMs, size } = fs.statSync(path.join(root, name));
    return `${name} ${mtimeMs} ${size}`;
  });
}

function readStamp(root) {
  try {
    return fs.readFileSync(path.join(root, stamp), 'utf8').split('\n');
  } catch {
    return [];
  }
}

const nameOf = (line) => line.split(' ')[0];

async function build(root, now) {
  const names = new Set(now.map(nameOf));
  // A deleted or renamed source would leave its old output behind, and require() would go on finding it.
  const isAnyGone = readStamp(root).some((line) => !names.has(nameOf(line)));
  if (isAnyGone) fs.rmSync(path.join(root, 'dist'), { recursive: true, force: true });
  const compiler = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const { code, output } = await run(process.execPath, [compiler, '-p', 'tsconfig.build.json'], { cwd: root });
  if (code !== 0) throw new SetupError(`the sources do not compile; tsc said:\n${tail(output, 40)}`, 1);
  // A stale bundle would make the worker run old workflows, and old scripts on the nodes.
  const bundle = await run(process.execPath, [path.join('dist', 'worker', 'bundle.js')], { cwd: root });
  if (bundle.code !== 0) throw new SetupError(`the workflows cannot be bundled:\n${tail(bundle.output, 40)}`, 1);
  fs.writeFileSync(path.join(root, stamp), now.join('\n'));
}

async function ensureBuilt(root, voice) {
  if (fingerprint(root).join('\n') === readStamp(root).join('\n')) return;
  await withLock(clonePath(root, 'build'), async () => {
    const now = fingerprint(root);
    if (now.join('\n') === readStamp(root).join('\n')) return;
    voice.say('compiling');
    await build(root, now);
  });
}

module.exports = { ensureBuilt };
