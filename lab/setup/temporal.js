// The Temporal CLI: TEMPORAL_CLI, else PATH, else this project's cache, which is filled once by a build from Go modules
// or by the official download.
'use strict';
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { SetupError, findProgram, isExecutable, programDirectories, readFirstLine, run, tail } = require('./run.js');
const { minimum, pinned, isAtLeast } = require('./versions.js');
const { buildPrograms, findGo } = require('./go.js');
const { withLock } = require('./lock.js');

/** The cache's path. A relative XDG_CACHE_HOME is ignored, as the XDG base directory specification says. */
function cacheFolder(environment) {
  const named = environment.XDG_CACHE_HOME ?? '';
  return path.join(path.isAbsolute(named) ? named : path.join(os.homedir(), '.cache'), 'pgpool-runbook');
}

const cachedFile = (environment) => path.join(cacheFolder(environment), `temporal-${pinned.temporal}`, 'temporal');

function readVersion(file) {
  return /^temporal version (\d+\.\d+[\w.-]*)/.exec(readFirstLine(file, ['--version']) ?? '')?.[1] ?? null;
}

/** { path, version }, or { problem } in words. */
function inspect(file) {
  if (!isExecutable(file)) return { problem: `${file} is not an executable file` };
  const version = readVersion(file);
  if (!version) return { problem: `${file} --version fails or is not the Temporal CLI's` };
  if (!isAtLeast(version, minimum.temporal))
    return { problem: `${file} is version ${version}, older than ${minimum.temporal}` };
  return { path: file, version };
}

/** { path, version }, or { problem }. A TEMPORAL_CLI that does not serve is an error: the user meant that one. */
function findTemporal(environment = process.env) {
  if (environment.TEMPORAL_CLI) {
    const named = inspect(path.resolve(environment.TEMPORAL_CLI));
    if (named.path) return named;
    throw new SetupError(
      `TEMPORAL_CLI does not serve: ${named.problem}. Name a Temporal CLI >= ${minimum.temporal}, or unset it.`,
    );
  }
  const onPath = findProgram('temporal', programDirectories(environment));
  const fromPath = onPath ? inspect(onPath) : { problem: 'none in PATH' };
  if (fromPath.path) return fromPath;
  const file = cachedFile(environment);
  const cached = fs.existsSync(file) ? inspect(file) : { problem: `none in ${path.dirname(file)}` };
  return cached.path ? cached : { problem: `${fromPath.problem}; ${cached.problem}` };
}

/** Compiles into `folder`; returns null, or the problem. */
async function build(folder, go, environment, voice) {
  voice.say(
    `building the Temporal CLI ${pinned.temporal} with Go ${go.version}, once; this takes about 4 minutes on 2 cores`,
  );
  const flags = `-s -w -X github.com/temporalio/cli/internal/temporalcli.Version=${pinned.temporal}`;
  const programs = { temporal: 'github.com/temporalio/cli/cmd/temporal' };
  return await buildPrograms({ folder, go, environment, voice, programs, flags });
}

const architectures = { x64: 'amd64', arm64: 'arm64' };

function downloadAddress() {
  const platform = process.platform === 'darwin' ? 'darwin' : 'linux';
  return `https://temporal.download/cli/archive/v${pinned.temporal}?platform=${platform}&arch=${architectures[process.arch]}`;
}

/** Unpacks the official archive into `folder`; returns null, or the problem. */
async function download(folder, environment, voice) {
  if (!architectures[process.arch]) return `there is no official download for ${process.arch}`;
  const curl = findProgram('curl', programDirectories(environment));
  if (!curl) return 'the official download needs curl';
  const address = downloadAddress();
  voice.say(`downloading the Temporal CLI ${pinned.temporal} from ${address}`);
  const archive = path.join(folder, 'temporal.tar.gz');
  const args = [
    '-fsSL',
    '--proto',
    '=https',
    '--retry',
    '2',
    '--connect-timeout',
    '15',
    '--max-time',
    '600',
    '-o',
    archive,
    address,
  ];
  const fetched = await run(curl, args, { env: environment });
  if (fetched.code !== 0) return `${address} cannot be downloaded:\n${tail(fetched.output, 3)}`;
  const unpacked = await run('tar', ['-xzf', archive, '-C', folder, 'temporal'], { env: environment });
  return unpacked.code === 0
    ? null
    : `${address} is not a tar.gz archive with the file temporal:\n${tail(unpacked.output, 3)}`;
}

/** Tries one way in a directory of its own beside the cache; moves the checked binary into place in one step. */
async function obtain(environment, fill) {
  const cache = cacheFolder(environment);
  const work = fs.mkdtempSync(path.join(cache, `temporal-${pinned.temporal}.new-`));
  try {
    const problem = await fill(work);
    if (problem) return problem;
    const made = path.join(work, 'temporal');
    const version = readVersion(made);
    if (version !== pinned.temporal) return `the new binary says version ${version}, not ${pinned.temporal}`;
    const file = cachedFile(environment);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.renameSync(made, file);
    return null;
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

async function fillCache(environment, voice, before) {
  const go = findGo(environment);
  const built = go.path ? await obtain(environment, (folder) => build(folder, go, environment, voice)) : go.problem;
  if (built === null) return void voice.sayMore(`Temporal CLI ${pinned.temporal} built: ${cachedFile(environment)}`);
  if (go.path) voice.say(built);
  const fetched = await obtain(environment, (folder) => download(folder, environment, voice));
  if (fetched === null)
    return void voice.sayMore(`Temporal CLI ${pinned.temporal} downloaded: ${cachedFile(environment)}`);
  throw new SetupError(
    [
      `missing on this machine: the Temporal CLI >= ${minimum.temporal}`,
      `  - installed: ${before}`,
      `  - build: ${go.path ? 'failed, see above' : built}`,
      `  - download: ${fetched}`,
      `Install it (https://docs.temporal.io/cli) so that it is in PATH, or set TEMPORAL_CLI to its path,`,
      `or install Go >= ${minimum.go} (https://go.dev/dl) and run the command again.`,
    ].join('\n'),
  );
}

/** The cache's folder, made if need be. */
function makeCache(environment) {
  const cache = cacheFolder(environment);
  try {
    fs.mkdirSync(cache, { recursive: true });
    return cache;
  } catch (error) {
    throw new SetupError(
      `cannot make the cache ${cache}: ${error.message}. Set XDG_CACHE_HOME to a directory that you can write.`,
    );
  }
}

async function ensureTemporal(environment, voice) {
  if (findTemporal(environment).path) return;
  const cache = makeCache(environment);
  const onWait = (pid) => voice.say(`waiting for another set-up that gets the Temporal CLI (pid ${pid})`);
  const work = async () => {
    const now = findTemporal(environment);
    if (!now.path) await fillCache(environment, voice, now.problem);
  };
  await withLock(path.join(cache, `temporal-${pinned.temporal}.lock`), work, onWait);
}

module.exports = { ensureTemporal, findTemporal, cacheFolder, cachedFile, makeCache };
