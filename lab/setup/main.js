// The set-up's order: npm packages, system packages, the Temporal CLI, the build. Each part does nothing when nothing is to be done.
// Without dependencies: it runs before there are any.
'use strict';
const path = require('node:path');
const { SetupError, catchSignals, createVoice, programDirectories } = require('./run.js');
const { ensurePackages } = require('./packages.js');
const { ensureBuilt } = require('./build.js');
const { inspectForCheck, inspectSystem } = require('./system.js');
const { installPackages } = require('./apt.js');
const { describeMissing, isDebian, isRoot, packagesOf } = require('./tools.js');
const { ensureTemporal } = require('./temporal.js');
const { ensureTemporalServer } = require('./temporal-server.js');

const clone = path.resolve(__dirname, '..', '..');
const usage = `usage: node lab/setup.js [--test | --bench | --check] [--quiet]
  (none)      everything that the lab and the demo need
  --test      the same, and what the tests need
  --bench     the same, and what the benchmarks use where there is a Go
  --check     only what npm run check needs
  --quiet     announce long actions only, without progress`;

function parseFlags(args) {
  const unknown = args.filter((arg) => !['--test', '--bench', '--check', '--quiet'].includes(arg));
  if (unknown.length > 0) throw new SetupError(`unknown argument ${unknown.join(' ')}\n${usage}`);
  return {
    withTests: args.includes('--test'),
    withBench: args.includes('--bench'),
    onlyCheck: args.includes('--check'),
    isQuiet: args.includes('--quiet'),
  };
}

/** `inspect` lists what is missing in these directories of programs. */
async function ensureSystem(inspect, voice) {
  const directories = programDirectories(process.env);
  let missing = inspect(directories);
  if (missing.length > 0 && isRoot() && isDebian()) {
    await installPackages(packagesOf(missing), { directories, voice });
    missing = inspect(directories);
  }
  if (missing.length > 0) throw new SetupError(describeMissing(missing, isDebian()));
}

async function setUp(args) {
  const { withTests, withBench, onlyCheck, isQuiet } = parseFlags(args);
  const voice = createVoice(isQuiet);
  await ensurePackages(clone, voice);
  if (onlyCheck) return ensureSystem(inspectForCheck, voice);
  await ensureSystem((directories) => inspectSystem({ directories, isRoot: isRoot(), withTests }).missing, voice);
  await ensureTemporal(process.env, voice);
  if (withBench) await ensureTemporalServer(process.env, voice);
  await ensureBuilt(clone, voice);
}

/**
 * Runs the set-up and ends the process when it fails: with a SetupError's code, or with the stack when the fault is
 * ours.
 */
function main(args) {
  catchSignals();
  setUp(args).catch((error) => {
    process.stderr.write(error instanceof SetupError ? `set-up: ${error.message}\n` : `set-up: ${error.stack}\n`);
    process.exitCode = error.exitCode ?? 2;
  });
}

module.exports = { main };
