// The shared tools of the set-up: errors with an exit code, lines on stderr, child processes, interruption.
// Lines go to stderr so that a command's own output (`npm run demo`, `npm run lab -- status`) stays clean.
'use strict';
const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

/** An error whose message is all that the user needs; exit code 2 unless the sources are at fault. */
class SetupError extends Error {
  constructor(message, exitCode = 2) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** `say` announces an action; `sayMore` (progress, results) is silent with --quiet. */
function createVoice(isQuiet) {
  const say = (line) => void process.stderr.write(`set-up: ${line}\n`);
  return { say, sayMore: isQuiet ? () => undefined : say };
}

const interruption = { signal: null, children: new Set() };

/** Makes a signal end the running child; `run` then throws, so that every `finally` puts the machine back. */
function catchSignals() {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      interruption.signal = signal;
      for (const child of interruption.children) child.kill(signal);
    });
  }
}

function throwIfInterrupted() {
  if (interruption.signal) throw new SetupError(`interrupted by ${interruption.signal}`, 130);
}

/**
 * Runs a program to its end; resolves to its exit code (127 when it cannot be started) and its output, both streams
 * mixed. Options: cwd, env, onLine(line), and isUninterruptible, which gives the program a session of its own, so that
 * neither Ctrl-C nor our handler reaches it.
 */
function run(file, args, options = {}) {
  throwIfInterrupted();
  return new Promise((resolve, reject) => {
    const { cwd, env, onLine, isUninterruptible = false } = options;
    const child = spawn(file, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: isUninterruptible });
    if (!isUninterruptible) interruption.children.add(child);
    const lines = [];
    for (const stream of [child.stdout, child.stderr]) {
      let rest = '';
      stream.setEncoding('utf8').on('data', (text) => {
        const parts = (rest + text).split('\n');
        rest = parts.pop();
        for (const line of parts) {
          lines.push(line);
          if (onLine) onLine(line);
        }
      });
      stream.on('end', () => rest && lines.push(rest));
    }
    let failure = null;
    child.on('error', (error) => (failure = error));
    child.on('close', (code) => {
      interruption.children.delete(child);
      if (interruption.signal) return reject(new SetupError(`interrupted by ${interruption.signal}`, 130));
      resolve({ code: failure ? 127 : (code ?? 1), output: failure ? failure.message : lines.join('\n') });
    });
  });
}

/** First line that a quick program prints on either stream, or null when it fails. */
function readFirstLine(file, args, env = process.env) {
  const result = spawnSync(file, args, { encoding: 'utf8', timeout: 30_000, env, stdio: ['ignore', 'pipe', 'pipe'] });
  if (result.error || result.status !== 0) return null;
  return `${result.stdout}\n${result.stderr}`.trim().split('\n')[0];
}

function isExecutable(file) {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

/** Full path of a program in the first directory that has it, or null. */
function findProgram(name, directories) {
  return directories.map((directory) => path.join(directory, name)).find(isExecutable) ?? null;
}

/** PATH, then the directories that distributions use and that are outside most users' PATH. */
function programDirectories(environment) {
  const fromPath = (environment.PATH ?? '').split(path.delimiter).filter((directory) => path.isAbsolute(directory));
  return [...fromPath, '/usr/local/sbin', '/usr/sbin', '/sbin'];
}

/** The last lines of a failed program's output, indented. */
function tail(output, count = 15) {
  const lines = output.trimEnd().split('\n').slice(-count);
  return lines.map((line) => `    ${line}`).join('\n');
}

module.exports = {
  SetupError,
  createVoice,
  catchSignals,
  throwIfInterrupted,
  run,
  readFirstLine,
  isExecutable,
  findProgram,
  programDirectories,
  tail,
};
