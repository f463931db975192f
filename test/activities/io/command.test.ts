// runLocally runs real programs: their exit, their words, their end in time; never a shell, never a throw.
import { runLocally } from '../../../activities/io/command';

const run = (program: string, args: string[], timeoutMs = 10_000, environment = {}) =>
  runLocally(program, args, { environment, timeoutMs });

it('reports success', async () => {
  expect(await run('true', [])).toEqual({ exitCode: 0, seen: 'exit 0' });
});

it('reports the exit status and what was said on stderr, shortened', async () => {
  expect(await run('/bin/sh', ['-c', 'echo out; echo no such host >&2; exit 7'])).toEqual({
    exitCode: 7,
    seen: 'no such host',
  });
  const { seen } = await run('/bin/sh', ['-c', 'head -c 5000 /dev/zero | tr "\\0" x >&2; exit 1']);
  expect(seen).toBe('x'.repeat(300));
});

it('passes arguments as they are, and adds to the environment', async () => {
  const script = 'test "$1" = "\\$(touch /x) ; *" && test "$NODE" = 3 && test -n "$PATH"';
  expect(await run('/bin/sh', ['-c', script, 'sh', '$(touch /x) ; *'], 10_000, { NODE: '3' })).toMatchObject({
    exitCode: 0,
  });
});

it('has no exit status for a program that cannot be started', async () => {
  const result = await run('/nowhere/fence', []);
  expect(result.exitCode).toBeNull();
  expect(result.seen).toMatch(/ENOENT/);
});

it('kills a program that ignores its time, and one whose child holds its output', async () => {
  const startedAt = Date.now();
  const results = await Promise.all([
    run('/bin/sh', ['-c', 'trap "" TERM; while :; do sleep 0.05; done'], 300),
    run('/bin/sh', ['-c', 'sleep 5'], 300),
  ]);
  expect(results.map(({ exitCode }) => exitCode)).toEqual([null, null]);
  expect(Date.now() - startedAt).toBeLessThan(3000);
});
