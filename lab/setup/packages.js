// npm packages: runs `npm ci` when the installed ones differ from package-lock.json.
'use strict';
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const crypto = require('node:crypto');
const { SetupError, run, tail } = require('./run.js');
const { withLock } = require('./lock.js');

function readLock(file) {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')).packages ?? {};
  } catch (error) {
    if (error.code === 'ENOENT' || error instanceof SyntaxError) return null;
    throw new SetupError(`cannot read ${file}: ${error.message}`);
  }
}

/**
 * Why `npm ci` is needed, or null. npm writes node_modules/.package-lock.json last, so that an interrupted install has none.
 * Packages for other platforms are marked optional and need not be there.
 */
function findStalePackages(root) {
  const wanted = readLock(path.join(root, 'package-lock.json'));
  if (!wanted)
    throw new SetupError(
      `${path.join(root, 'package-lock.json')} is missing or not JSON: restore it from the repository`,
    );
  const installed = readLock(path.join(root, 'node_modules', '.package-lock.json'));
  if (!installed) return 'node_modules is missing or incomplete';
  for (const [name, entry] of Object.entries(wanted)) {
    const found = installed[name];
    if (name === '' || entry.link || (!found && entry.optional)) continue;
    const hasChanged = !found || found.version !== entry.version || found.integrity !== entry.integrity;
    if (hasChanged || !fs.existsSync(path.join(root, name))) return `${name} differs from package-lock.json`;
  }
  return null;
}

/** The npm that runs this script if there is one, else the one on PATH. */
function npmCommand() {
  const cli = process.env.npm_execpath;
  return cli && path.basename(cli) === 'npm-cli.js' ? [process.execPath, cli] : ['npm'];
}

/** The place of this clone's locks, outside the clone because `npm ci` removes node_modules. */
function clonePath(root, name) {
  const user = typeof process.getuid === 'function' ? process.getuid() : 0;
  const hash = crypto.createHash('sha256').update(fs.realpathSync(root)).digest('hex').slice(0, 12);
  return path.join(os.tmpdir(), `pgpool-runbook-${name}-${user}-${hash}.lock`);
}

/** npm gives the cause first and pages of its own usage last. */
function explainNpm(output) {
  const lines = output.split('\n').filter((line) => /^npm (error|ERR!) \S/.test(line));
  return lines.length > 0
    ? lines
        .slice(0, 12)
        .map((line) => `    ${line}`)
        .join('\n')
    : tail(output);
}

async function install(root, voice) {
  const [file, ...prefix] = npmCommand();
  // --include=dev: the compiler is a development dependency, whatever NODE_ENV or the user's npmrc say about `omit`.
  const args = [...prefix, 'ci', '--include=dev', '--no-fund', '--no-audit'];
  const { code, output } = await run(file, args, { cwd: root });
  if (code !== 0) {
    throw new SetupError(
      `npm ci failed in ${root} (exit ${code}); npm said:\n${explainNpm(output)}\nMend that and run the command again.`,
    );
  }
  const still = findStalePackages(root);
  if (still)
    throw new SetupError(`npm ci succeeded in ${root}, but ${still}: check npm's configuration (npm config ls)`);
  voice.sayMore('npm packages installed');
}

async function ensurePackages(root, voice) {
  if (!findStalePackages(root)) return;
  const onWait = (pid) => voice.say(`waiting for another set-up of this clone (pid ${pid})`);
  await withLock(
    clonePath(root, 'npm'),
    async () => {
      const reason = findStalePackages(root);
      if (!reason) return;
      voice.say(`npm ci (${reason})`);
      await install(root, voice);
    },
    onWait,
  );
}

module.exports = { ensurePackages, findStalePackages, clonePath, npmCommand, explainNpm };
