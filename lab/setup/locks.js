// Checks the lock files: `npm run check` fails when package-lock.json or go.sum is incomplete, even where a cache would
// hide that. Run alone it checks this clone; exit code 0 complete, 1 incomplete, 2 cannot be checked.
'use strict';
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { SetupError, catchSignals, createVoice, run, tail } = require('./run.js');
const { findGo } = require('./go.js');
const { wrapperModule } = require('./versions.js');
const { explainNpm, npmCommand } = require('./packages.js');

/**
 * Null, or npm's message. npm compares the whole tree that package.json asks for with the lock before it installs
 * anything.
 */
async function findNpmProblem(root, environment) {
  const [file, ...prefix] = npmCommand();
  const args = [...prefix, 'ci', '--dry-run', '--ignore-scripts', '--no-audit', '--no-fund'];
  const { code, output } = await run(file, args, { cwd: root, env: environment });
  return code === 0 ? null : `package-lock.json is incomplete; npm ci says:\n${explainNpm(output)}`;
}

/** The packages of go.mod's `tool (…)` block. */
function listTools(goMod) {
  const block = /^tool \(\n([\s\S]*?)^\)/m.exec(goMod)?.[1] ?? '';
  return block
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

/**
 * Null, or Go's message. `go build -n` resolves every import against go.sum and compiles nothing; -mod=readonly keeps
 * it from changing go.sum. Modules that the cache lacks are downloaded: the set-up needs the same ones.
 */
async function findGoProblem(folder, go, environment) {
  // Go also accepts a sum that it finds in a workspace file's go.work.sum, and GOFLAGS may hold -mod=mod.
  const env = { ...environment, GOWORK: 'off', GOFLAGS: '', CGO_ENABLED: '0' };
  for (const tool of listTools(fs.readFileSync(path.join(folder, 'go.mod'), 'utf8'))) {
    const { code, output } = await run(go, ['build', '-n', '-mod=readonly', '-o', os.devNull, tool], {
      cwd: folder,
      env,
    });
    if (code === 0) continue;
    const said = output.split('\n').filter((line) => /go\.(sum|mod)|^go: (?!downloading)|to add:|\tgo get /.test(line));
    const why = said.length > 0 ? said.slice(0, 12).join('\n') : tail(output);
    return `go.mod or go.sum in ${folder} is incomplete for ${tool}; go build says:\n${why}`;
  }
  return null;
}

/** Every problem in words; [] when both lock files are complete. */
async function checkLocks({ root, folder = wrapperModule, environment = process.env, voice, otherFolders }) {
  const problems = [await findNpmProblem(root, environment)];
  const go = findGo(environment, otherFolders);
  if (go.path) problems.push(await findGoProblem(folder, go.path, environment));
  else if (go.isTooOld) problems.push(`go.sum cannot be checked: ${go.problem}`);
  else voice.say(`go.sum is not checked: ${go.problem}`);
  return problems.filter((problem) => problem !== null);
}

async function main() {
  catchSignals();
  const voice = createVoice(true);
  const problems = await checkLocks({ root: path.resolve(__dirname, '..', '..'), voice });
  for (const problem of problems) voice.say(problem);
  process.exitCode = problems.length > 0 ? 1 : 0;
}

module.exports = { checkLocks };

if (require.main === module)
  main().catch((error) => {
    process.stderr.write(error instanceof SetupError ? `set-up: ${error.message}\n` : `set-up: ${error.stack}\n`);
    process.exitCode = error.exitCode ?? 2;
  });
