// A lock between processes of one machine: a directory, made atomically, that names its owner.
// A dead owner's lock is taken over; a living owner is waited for.
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { setTimeout: wait } = require('node:timers/promises');
const { SetupError, throwIfInterrupted } = require('./run.js');

// Longest time between mkdir and the owner file, in which the lock has no owner.
const ownerlessMs = 10_000;

/** A pid with its start time, because pids are reused; without /proc the pid alone. */
function identity(pid) {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    // Field 22; the command's name (field 2) may hold blanks and parentheses.
    return `${pid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`;
  } catch {
    return `${pid} -`;
  }
}

function isAlive(owner) {
  const pid = Number(owner.split(' ')[0]);
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (error.code !== 'EPERM') return false;
  }
  return identity(pid) === owner;
}

function readOwner(directory) {
  try {
    return fs.readFileSync(path.join(directory, 'owner'), 'utf8');
  } catch {
    return null;
  }
}

function isStale(directory, owner) {
  if (owner !== null) return !isAlive(owner);
  const made = fs.statSync(directory, { throwIfNoEntry: false });
  return made !== undefined && Date.now() - made.mtimeMs > ownerlessMs;
}

/**
 * Renames first and looks again: otherwise one of two waiters that saw the same dead owner could remove the other's new
 * lock.
 */
function removeStale(directory, owner) {
  const aside = `${directory}.stale-${process.pid}`;
  try {
    fs.renameSync(directory, aside);
  } catch {
    return;
  }
  if (readOwner(aside) !== owner) {
    try {
      fs.renameSync(aside, directory);
      return;
    } catch {
      // Another process has made a new lock meanwhile, which counts.
    }
  }
  fs.rmSync(aside, { recursive: true, force: true });
}

function tryToLock(directory) {
  try {
    fs.mkdirSync(directory);
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw new SetupError(`cannot make the lock ${directory}: ${error.message}`);
  }
  fs.writeFileSync(path.join(directory, 'owner'), identity(process.pid));
  return true;
}

/**
 * Runs `work` while holding the lock `directory` (its parent must exist); waits without bound for a living owner.
 * `onWait(owner)` is called once if there is one.
 */
async function withLock(directory, work, onWait = () => undefined) {
  let hasWaited = false;
  while (!tryToLock(directory)) {
    throwIfInterrupted();
    const owner = readOwner(directory);
    if (isStale(directory, owner)) {
      removeStale(directory, owner);
      continue;
    }
    if (!hasWaited && owner !== null) onWait(owner.split(' ')[0]);
    hasWaited ||= owner !== null;
    await wait(200);
  }
  try {
    return await work();
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

module.exports = { withLock };
