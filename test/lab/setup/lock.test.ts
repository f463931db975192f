// The set-up's lock: one owner at a time, and a dead owner is no obstacle.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { load, modulePath, runProgram, useFolder } from './modules';

const { withLock } = load('lock.js');
const folder = useFolder();
const lock = (): string => join(folder(), 'lock');

it('is released when the work ends, also badly', async () => {
  await expect(withLock(lock(), () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(existsSync(lock())).toBe(false);
  await expect(withLock(lock(), () => 'done')).resolves.toBe('done');
});

it('lets eight processes in one after another', async () => {
  const log = join(folder(), 'log');
  const program = `
    const { withLock } = require(${JSON.stringify(modulePath('lock.js'))});
    const { appendFileSync } = require('node:fs');
    withLock(${JSON.stringify(lock())}, async () => {
      appendFileSync(${JSON.stringify(log)}, 'in\\n');
      await new Promise((resolve) => setTimeout(resolve, 20));
      appendFileSync(${JSON.stringify(log)}, 'out\\n');
    });`;
  const ended = await Promise.all(Array.from({ length: 8 }, () => runProgram(process.execPath, ['-e', program])));
  expect(ended).toEqual(Array(8).fill({ code: 0, output: '' }));
  expect(readFileSync(log, 'utf8')).toBe('in\nout\n'.repeat(8));
});

it('is taken over from an owner that has died', async () => {
  const { pid } = spawnSync('true');
  mkdirSync(lock());
  writeFileSync(join(lock(), 'owner'), `${pid} 1`);
  await expect(withLock(lock(), () => 'mine')).resolves.toBe('mine');
  expect(readdirSync(folder())).toEqual([]);
});

it('is taken over from an owner whose pid belongs to another process now', async () => {
  mkdirSync(lock());
  writeFileSync(join(lock(), 'owner'), `${process.pid} 1`);
  await expect(withLock(lock(), () => 'mine')).resolves.toBe('mine');
});

it('is taken over when it never got an owner', async () => {
  mkdirSync(lock());
  const longAgo = Date.now() / 1000 - 60;
  utimesSync(lock(), longAgo, longAgo);
  await expect(withLock(lock(), () => 'mine')).resolves.toBe('mine');
});

it('is waited for while its owner lives, and says for whom', async () => {
  const order: string[] = [];
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  const first = withLock(lock(), async () => {
    await released;
    order.push('first');
  });
  const second = withLock(
    lock(),
    () => void order.push('second'),
    (pid) => {
      order.push(`waits for ${pid}`);
      release();
    },
  );
  await Promise.all([first, second]);
  expect(order).toEqual([`waits for ${process.pid}`, 'first', 'second']);
});
