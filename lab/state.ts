// lab.json: a record of what a lab has started, so that another program (npm run lab -- down) can stop exactly that.
// Also the slot locks.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  chmodSync,
  writeFileSync,
  linkSync,
} from 'node:fs';
import path from 'node:path';
import {
  baseDirectory,
  ensureBaseDirectory,
  firstSlot,
  isSlotUnused,
  labDirectory,
  lastSlot,
  type Layout,
} from './layout';
import { isRunning, readRecord, type ProcessRecord } from './processes';

export interface LabState {
  readonly layout: Layout;
  readonly phase: 'starting' | 'up';
  /** The program that runs `up`, while the phase is starting. */
  readonly owner: ProcessRecord;
  /** sshd<id>, postgres<id>, pgpool, temporal, worker. The pid file leads to a postmaster that a runbook started. */
  readonly processes: Readonly<Record<string, ProcessRecord>>;
  /** Nodes whose packets are dropped. */
  readonly dropped: readonly number[];
}

export const stateFileName = 'lab.json';

function parseState(text: string, file: string): LabState {
  try {
    return JSON.parse(text) as LabState;
  } catch (error) {
    throw new Error(`${file} is damaged: stop the lab's processes by hand, then remove its directory`, {
      cause: error,
    });
  }
}

/** Null when there is no such lab. */
export function readState(name: string): LabState | null {
  const file = path.join(labDirectory(name), stateFileName);
  return existsSync(file) ? parseState(readFileSync(file, 'utf8'), file) : null;
}

function writeState(directory: string, state: LabState): void {
  const temporary = path.join(directory, `${stateFileName}.${process.pid}`);
  writeFileSync(temporary, JSON.stringify(state, null, 2));
  renameSync(temporary, path.join(directory, stateFileName));
}

/** Reads, changes and writes without a pause, so that nothing else of this program comes between. */
export function updateState(name: string, change: (state: LabState) => Partial<LabState>): void {
  const state = readState(name);
  if (state) writeState(state.layout.directory, { ...state, ...change(state) });
}

/** For startDetached: keeps the process under `key` in lab.json. */
export function recordAs(layout: Layout, key: string): (record: ProcessRecord) => void {
  return (record) => {
    updateState(layout.name, (state) => ({ processes: { ...state.processes, [key]: record } }));
  };
}

/** Creates the lab's directory with its lab.json, both or neither. Fails when the name is in use. */
export function createState(layout: Layout): void {
  const base = ensureBaseDirectory();
  const temporary = mkdtempSync(path.join(base, `.${layout.name}.`));
  chmodSync(temporary, 0o755);
  writeState(temporary, { layout, phase: 'starting', owner: thisProcess(), processes: {}, dropped: [] });
  try {
    renameSync(temporary, layout.directory);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw new Error(`lab "${layout.name}" exists already: npm run lab -- down --name ${layout.name}`, { cause: error });
  }
}

export function isStarting(state: LabState): boolean {
  return state.phase === 'starting' && isRunning(state.owner);
}

export function listLabNames(): string[] {
  const base = baseDirectory();
  if (!existsSync(base)) return [];
  return readdirSync(base).filter((name) => existsSync(path.join(base, name, stateFileName)) && !name.startsWith('.'));
}

export function thisProcess(): ProcessRecord {
  const record = readRecord(process.pid);
  if (!record) throw new Error('cannot read /proc: the lab needs Linux');
  return record;
}

const lockPath = (key: string): string => path.join(ensureBaseDirectory(), '.locks', key);

/**
 * Takes the lock `key` for `holder`; false when another running holder has it. A lock whose program is gone and whose lab does
 * not exist is stale and taken over.
 */
function tryLock(key: string, labName: string): boolean {
  const file = lockPath(key);
  mkdirSync(path.dirname(file), { recursive: true });
  const mine = `${file}.${process.pid}`;
  writeFileSync(mine, JSON.stringify({ labName, holder: thisProcess() }));
  try {
    // Use link, not open with O_EXCL: the lock appears with its contents, so that no process reads an empty one.
    for (let attempt = 0; attempt < 2; attempt++) {
      try {
        linkSync(mine, file);
        return true;
      } catch {
        if (!removeStale(file, `${mine}.stale`)) return false;
      }
    }
    return false;
  } finally {
    rmSync(mine, { force: true });
  }
}

/**
 * False when the lock counts. Renames, then looks again, because another waiter may have replaced the stale lock
 * meanwhile.
 */
function removeStale(file: string, aside: string): boolean {
  try {
    if (!isStale(file)) return false;
    renameSync(file, aside);
    if (isStale(aside)) return true;
    linkSync(aside, file);
    return false;
  } catch {
    return false;
  } finally {
    rmSync(aside, { force: true });
  }
}

function isStale(file: string): boolean {
  const { labName, holder } = JSON.parse(readFileSync(file, 'utf8')) as { labName: string; holder: ProcessRecord };
  return !isRunning(holder) && !(labName !== '' && existsSync(path.join(baseDirectory(), labName)));
}

/** Takes the first free slot. The lock stays until releaseSlot, through the life of the lab. */
export function claimSlot(name: string): number {
  for (let slot = firstSlot; slot <= lastSlot; slot++) {
    if (isSlotUnused(slot) && tryLock(`slot${slot}`, name)) return slot;
  }
  throw new Error(`no free addresses: all of 127.${firstSlot}.0.0 - 127.${lastSlot}.0.0 are in use; take a lab down`);
}

export function releaseSlot(slot: number): void {
  rmSync(lockPath(`slot${slot}`), { force: true });
}

/** Tries to take the lock on what labs share; call releaseShared after. */
export function tryLockShared(): boolean {
  return tryLock('shared', '');
}

export function releaseShared(): void {
  rmSync(lockPath('shared'), { force: true });
}
