// Runs shellcheck on every shell script of this clone: `npm run check` fails when it finds anything. Run alone it
// checks this clone; exit code 0 nothing found, 1 something found, 2 cannot be checked.
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { SetupError, catchSignals, createVoice, findProgram, programDirectories, run } = require('./run.js');

const foreign = new Set(['.git', 'node_modules', 'dist', 'coverage']);

/** Paths of *.sh below `root`, and of .ci/run. */
function listScripts(root, folder = '') {
  const found = [];
  for (const entry of fs.readdirSync(path.join(root, folder), { withFileTypes: true })) {
    const name = path.join(folder, entry.name);
    if (entry.isDirectory()) {
      if (!foreign.has(entry.name)) found.push(...listScripts(root, name));
    } else if (entry.name.endsWith('.sh') || name === path.join('.ci', 'run')) {
      found.push(name);
    }
  }
  return found;
}

/**
 * shellcheck's findings in `names` below `root`; empty when there are none. Scripts are read with the files that they
 * include, each *.sh as POSIX sh, with the settings of the .shellcheckrc beside it.
 */
async function checkScripts({ root, names, directories }) {
  const program = findProgram('shellcheck', directories);
  if (!program) throw new SetupError('no shellcheck in PATH: run node lab/setup.js --check');
  const [plain, named] = [names.filter((name) => name.endsWith('.sh')), names.filter((name) => !name.endsWith('.sh'))];
  const said = [];
  for (const [files, dialect] of [
    [plain, ['--shell=sh']],
    [named, []],
  ]) {
    if (files.length === 0) continue;
    const { code, output } = await run(program, [...dialect, '--external-sources', '--color=never', ...files], {
      cwd: root,
      env: { ...process.env, SHELLCHECK_OPTS: '' },
    });
    if (code > 1) throw new SetupError(`${program} failed (exit ${code}): ${output}`);
    if (code === 1) said.push(output);
  }
  return said.join('\n');
}

async function main() {
  catchSignals();
  const root = path.resolve(__dirname, '..', '..');
  const said = await checkScripts({ root, names: listScripts(root), directories: programDirectories(process.env) });
  if (said === '') return;
  createVoice(true).say(`shellcheck says:\n${said}`);
  process.exitCode = 1;
}

module.exports = { checkScripts, listScripts };

if (require.main === module)
  main().catch((error) => {
    process.stderr.write(error instanceof SetupError ? `set-up: ${error.message}\n` : `set-up: ${error.stack}\n`);
    process.exitCode = error.exitCode ?? 2;
  });
