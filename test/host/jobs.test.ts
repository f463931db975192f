// The node's lock and durable jobs, without ssh: one act at a time, none that comes late; a job is started once, followed, ended.

import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { scripts } from '../../activities/io/host/scripts';
import { wrapScript } from '../../activities/io/ssh/command';
import { actOf, including, shells, useHost } from './support';

const wait = (ms: number): Promise<void> => new Promise((settle) => setTimeout(settle, ms));

describe.each(shells)('%s', (_name, shell) => {
  const host = useHost(shell);
  const lock = (): string => host().path('jobs/shop.lock');

  describe('an act', () => {
    const act = (leftMs: number, text = 'echo "acts on $*"', issuedMs = 0, actor = 'fence, run 1') => {
      const now = Date.now();
      return host().runText(actOf(text), [lock(), String(now + issuedMs), String(now + leftMs), actor, 'a b', 'c']);
    };

    it('runs with its own arguments, and leaves who it was', () => {
      expect(act(5000)).toEqual({ status: 0, output: 'acts on a b c\n', stderr: '' });
      expect(host().read('jobs/shop.lock')).toMatch(/^fence, run 1, process \d+\n$/);
      expect(statSync(lock()).mode & 0o7777).toBe(0o1600);
    });

    it('does nothing after its deadline', () => {
      expect(act(-1)).toEqual({
        status: 76,
        output: 'closed=the act arrived after its deadline and was refused\n',
        stderr: '',
      });
    });

    describe('that another one has overtaken', () => {
      const overtaken = {
        status: 76,
        output: expect.stringMatching(
          /^overtaken=start, run 2\nclosed=another act \(start, run 2\) ended after/,
        ) as string,
      };
      const end = (text = 'sleep 0.3') => act(5000, text, 0, 'start, run 2');

      it('is refused; the same actor’s retry, and what is issued afterwards, are not', () => {
        expect(end().status).toBe(0);
        expect(act(5000, 'echo acts', -5000)).toMatchObject(overtaken);
        expect(act(5000, 'echo acts', -5000, 'start, run 2').output).toBe('acts\n');
        expect(act(5000, 'echo acts').output).toBe('acts\n');
        expect(act(5000, 'echo acts', -5000, 'start, run 2').status).toBe(76);
      });

      it('is refused although the other one failed, or was killed', () => {
        expect(end('IFS=x; set -f; exit 3').status).toBe(3);
        expect(act(5000, 'echo acts', -5000)).toMatchObject(overtaken);
        end('kill -9 $$');
        expect(act(5000, 'echo acts', -5000)).toMatchObject(overtaken);
      });

      it('is not refused where the other one only looked, nor by a time that cannot be', () => {
        end('true');
        host().write('jobs/shop.changed', `${Date.now() + 3_600_000} start, run 2\n`);
        expect(act(5000, 'echo acts', -5000).output).toBe('acts\n');
        for (const text of ['', 'half', '\n']) {
          host().write('jobs/shop.changed', text);
          expect(act(5000, 'echo acts', -5000).output).toBe('acts\n');
        }
        rmSync(host().path('jobs/shop.changed'));
        const looking = including('answer', 'CHANGES=no\n. lib/act.sh');
        expect(looking).not.toContain('. lib/');
        host().runText(looking, [lock(), '0', String(Date.now() + 5000), 'start, run 2']);
        expect(act(5000, 'echo acts', -5000).output).toBe('acts\n');
      });

      it('is refused after an act over SQL, which held the lock until it was told to let go', async () => {
        const [program, ...options] = shell;
        const holding = spawn(program, [...options, '-s'], { stdio: ['pipe', 'pipe', 'ignore'], detached: true });
        holding.stdin.end(wrapScript(scripts.holdLock, [lock(), '1000', 'start, run 2', '60000']));
        const ended = new Promise((settle) => holding.once('exit', settle));
        await new Promise<void>((settle) => {
          holding.stdout.on('data', (text: Buffer) => {
            if (text.includes('still')) settle();
          });
        });
        process.kill(-holding.pid!, 'SIGTERM');
        await ended;
        expect(act(5000, 'echo acts', -5000)).toMatchObject(overtaken);
        expect(act(5000, 'echo acts').output).toBe('acts\n');
      });
    });

    it('does nothing where the lock’s directory cannot be made', () => {
      host().write('jobs');
      expect(act(5000)).toMatchObject({
        status: 74,
        output: expect.stringMatching(/^wrong=cannot create paths\.jobs \(.*jobs\): mkdir: .*\n$/) as string,
      });
    });

    it('waits for another one no longer than its deadline, and says which', async () => {
      host().write('jobs/shop.lock');
      const script = 'exec 9>>"$1"; flock 9; echo "stop, process $$" >"$1"; echo held; sleep 20';
      const other = spawn('sh', ['-c', script, 'sh', lock()], { stdio: ['ignore', 'pipe', 'ignore'], detached: true });
      try {
        await new Promise((settle) => other.stdout.once('data', settle));
        const holder = `stop, process ${other.pid!}`;
        expect(act(1200)).toEqual({
          status: 75,
          output: `holder=${holder}\nclosed=${lock()} is held by ${holder}; it is retried\n`,
          stderr: '',
        });
        host().write('jobs/shop.lock', 'stop, process 1\n');
        expect(act(100).output).toMatch(/^holder=an unknown process \(last by stop, process 1\)\n/);
      } finally {
        process.kill(-other.pid!, 'SIGKILL');
      }
    });
  });

  test('hold-lock holds until its time is over, whatever clock it was sent by', () => {
    const { status, output } = host().run('holdLock', lock(), '1000', 'promote', '700');
    expect({ status, output }).toEqual({ status: 0, output: 'here\nheld\nstill\nstill\n' });
  });

  test('hold-lock lets go when nobody reads what it says', async () => {
    const [program, ...options] = shell;
    const input = wrapScript(scripts.holdLock, [lock(), '1000', 'promote', '60000']);
    const holding = spawn(program, [...options, '-s'], { stdio: ['pipe', 'pipe', 'ignore'] });
    const ended = new Promise((settle) => holding.once('exit', settle));
    holding.stdin.end(input);
    await new Promise<void>((settle) => {
      holding.stdout.on('data', (text: Buffer) => {
        if (text.includes('held')) settle();
      });
    });
    expect(spawnSync('flock', ['-n', lock(), 'true']).status).toBe(1);
    holding.stdout.destroy();
    await ended;
    expect(spawnSync('flock', ['-n', lock(), 'true']).status).toBe(0);
  });

  describe('a job', () => {
    const jobs = (): string => host().path('jobs');
    const start = (name: string, script: string, ...args: string[]) =>
      host().act('startJob', jobs(), name, scripts.superviseJob, script, ...args);
    const poll = (name: string, from = 1, seconds = 5) => {
      const { output } = host().run('pollJob', jobs(), name, String(from), '1000', String(seconds));
      const value = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(output)?.[1];
      return [value('state'), value('exit'), Buffer.from(value('log') ?? '', 'base64').toString()];
    };

    it('is started once, is followed from any byte of its log, and is removed when it has ended', () => {
      expect(poll('copy')).toEqual(['absent', undefined, '']);
      expect(start('copy', 'echo "one $1"; exit 4', 'a b').status).toBe(0);
      expect(poll('copy')).toEqual(['done', '4', 'one a b\n']);
      expect(start('copy', 'echo two').status).toBe(0);
      expect(poll('copy', 5)).toEqual(['done', '4', 'a b\n']);
      expect(host().run('listJobs', jobs()).output).toBe('job=copy\nanswer=done\n');
      expect(host().act('removeJobs', jobs()).status).toBe(0);
      expect(existsSync(jobs())).toBe(false);
      expect(host().act('removeJobs', jobs()).status).toBe(0);
    });

    it('is ended with all that it has started', async () => {
      start('copy', 'trap "" TERM; echo "$$"; sleep 30');
      for (let left = 100; left > 0 && poll('copy', 1, 0)[2] === ''; left -= 1) await wait(20);
      expect(poll('copy', 1, 0)[0]).toBe('running');
      expect(host().act('removeJobs', jobs()).status).toBe(0);
      expect(readdirSync(jobs())).toEqual(['copy']);
      expect(host().act('endJob', jobs(), 'copy')).toMatchObject({ status: 0, stderr: '' });
      expect(poll('copy')).toEqual(['absent', undefined, '']);
      expect(host().act('endJob', jobs(), 'copy').status).toBe(0);
    });

    it('is lost when it was killed, and unknown when its lock cannot be read', async () => {
      start('copy', 'sleep 30');
      for (let left = 100; left > 0 && !existsSync(host().path('jobs/copy/pid')); left -= 1) await wait(20);
      process.kill(-Number(host().read('jobs/copy/pid')), 'SIGKILL');
      expect(poll('copy')).toEqual(['lost', undefined, '']);
      host().write('jobs/odd/lock/is a directory');
      host().program('flock', 'exit 66');
      const script = `PATH=${host().bin}:$PATH\n${scripts.pollJob}`;
      expect(host().runText(script, [jobs(), 'copy', '1', '10', '0']).output).toMatch(/^state=unknown$/m);
    });
  });
});
