// The Temporal server as it runs in production, for the benchmarks only: built once from Go modules into this project's
// cache. Without Go the benchmarks that need it are left out, and say so.
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { isExecutable } = require('./run.js');
const { pinned } = require('./versions.js');
const { withLock } = require('./lock.js');
const { buildPrograms, findGo } = require('./go.js');
const { cacheFolder, makeCache } = require('./temporal.js');

const programs = {
  'temporal-server': 'go.temporal.io/server/cmd/server',
  'temporal-sql-tool': 'go.temporal.io/server/cmd/tools/sql',
};

const folderOf = (environment) => path.join(cacheFolder(environment), `temporal-server-${pinned.server}`);

/** { server, sqlTool }: full paths; null when they were not built. */
function findTemporalServer(environment = process.env) {
  const [server, sqlTool] = Object.keys(programs).map((name) => path.join(folderOf(environment), name));
  return isExecutable(server) && isExecutable(sqlTool) ? { server, sqlTool } : null;
}

async function build(environment, voice) {
  const go = findGo(environment);
  if (!go.path) return go.problem;
  voice.say(
    `building the Temporal server ${pinned.server} with Go ${go.version}, once; this takes up to 4 minutes on 2 cores`,
  );
  const work = fs.mkdtempSync(`${folderOf(environment)}.new-`);
  try {
    const problem = await buildPrograms({ folder: work, go, environment, voice, programs, flags: '-s -w' });
    if (problem === null) fs.renameSync(work, folderOf(environment));
    return problem;
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

async function ensureTemporalServer(environment, voice) {
  if (findTemporalServer(environment)) return;
  makeCache(environment);
  const onWait = (pid) => voice.say(`waiting for another set-up that builds the Temporal server (pid ${pid})`);
  const work = async () => {
    const problem = findTemporalServer(environment) ? null : await build(environment, voice);
    if (problem) voice.say(`no Temporal server: ${problem}; what needs it is left out`);
  };
  await withLock(`${folderOf(environment)}.lock`, work, onWait);
}

module.exports = { ensureTemporalServer, findTemporalServer };
