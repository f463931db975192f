// Building the pinned Temporal programs with Go, from the wrapper module.
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { isExecutable, programDirectories, readFirstLine, run, tail } = require('./run.js');
const { minimum, wrapperModule, isAtLeast } = require('./versions.js');
const { createProgress } = require('./progress.js');

/** { path, version } of a Go that can build the wrapper module, or { problem, isTooOld }. */
function findGo(environment, otherFolders = ['/usr/local/go/bin']) {
  const problems = [];
  for (const folder of [...programDirectories(environment), ...otherFolders]) {
    const file = path.join(folder, 'go');
    if (!isExecutable(file)) continue;
    const version = (readFirstLine(file, ['env', 'GOVERSION'], environment) ?? '').replace(/^go/, '');
    if (isAtLeast(version, minimum.go)) return { path: file, version };
    problems.push(`${file} is Go ${version || 'of unknown version'}, older than ${minimum.go}`);
  }
  return { problem: problems[0] ?? 'no go in PATH or /usr/local/go/bin', isTooOld: problems.length > 0 };
}

/** Compiles `programs` ({ file name: package }) into `folder`; returns null, or the problem. */
async function buildPrograms({ folder, go, environment, voice, programs, flags }) {
  for (const name of ['go.mod', 'go.sum']) fs.copyFileSync(path.join(wrapperModule, name), path.join(folder, name));
  const progress = createProgress(voice);
  // GOWORK=off, because a go.work may lie above the cache.
  const env = { ...environment, CGO_ENABLED: '0', GOWORK: 'off' };
  try {
    for (const [name, from] of Object.entries(programs)) {
      const args = ['build', '-v', '-mod=readonly', '-ldflags', flags, '-o', name, from];
      const { code, output } = await run(go.path, args, { cwd: folder, env, onLine: progress.note });
      if (code !== 0) return `${go.path} build failed; it said:\n${tail(output)}`;
    }
    return null;
  } finally {
    progress.stop();
  }
}

module.exports = { buildPrograms, findGo };
