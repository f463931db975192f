// Scripts about a node's processes, without ssh and PostgreSQL: look, probe, fence, stop, start, and what they say where they refuse.

import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { Values } from '../../activities/io/host/answer';
import { parseHostFacts } from '../../activities/io/host/host-facts';
import { type Host, shells, useHost } from './support';

/** A server in `data`, with a postmaster.pid unless it is orphaned. */
async function serveData(host: Host, isOrphan = false): Promise<string> {
  const data = host.data();
  const pid = await host.serve(data);
  if (!isOrphan) host.write('data/postmaster.pid', `${pid}\n${data}\n`);
  return data;
}

/** Ends the server as a service manager would. */
const stopCommand = 'kill "$(head -n 1 "$DATA/postmaster.pid")"';
const noStandbyNames = 'exit 1';

describe.each(shells)('%s', (_name, shell) => {
  const host = useHost(shell);
  const look = (data: string) => parseHostFacts(new Values(host().run('look', data, host().bin).output), Date.now());

  describe('look', () => {
    it('tells of a node that is down: its control file, its WAL, its settings', () => {
      const data = host().data();
      for (const name of ['00000002', '0000000A', '00000003']) host().write(`data/pg_wal/${name}0000000000000001`);
      host().program('postgres', '[ "$1 $2" = "-C synchronous_standby_names" ] && echo "ANY 1 (a, b)"');
      expect(look(data)).toMatchObject({
        processes: 'none',
        hasDataDirectory: true,
        hasStandbySignal: false,
        fenceMark: 'none',
        walTimeline: 10,
        synchronousStandbyNames: 'ANY 1 (a, b)',
        neededSettings: null,
        controlFile: { state: 'shut down', systemIdentifier: '7001', checkpoint: { timeline: 2, lsn: '0/3000060' } },
      });
      expect(Math.abs(look(data).clockOffsetMs!)).toBeLessThan(5000);
    });

    it('tells of a standby that runs, and of what an earlier one left', async () => {
      const data = await serveData(host());
      host().write('data/standby.signal', 'after-return\n');
      expect(look(data)).toMatchObject({
        processes: 'running',
        hasStandbySignal: true,
        fenceMark: 'after-return',
        neededSettings: { max_connections: 100 },
        controlFile: null,
      });
      rmSync(`${data}/postmaster.pid`);
      expect(look(data).processes).toBe('orphans');
    });

    it('says what is not there', () => {
      expect(look(host().path('none'))).toMatchObject({
        processes: 'unknown',
        hasDataDirectory: false,
        seen: `no data directory at ${host().path('none')}`,
      });
      host().write('data/something');
      expect(look(host().path('data'))).toMatchObject({
        processes: 'none',
        hasDataDirectory: false,
        walTimeline: null,
      });
      expect(host().run('look', host().path('data'), '/none').output).toContain('cannot be run in /none');
    });
  });

  test('probe asks with the arguments of the cluster file, and tells psql’s exit status', () => {
    host().program('psql', 'echo "$PGUSER $PGPASSFILE $PGSSLMODE $PGSSLROOTCERT $*"; exit 2');
    const args = ['h', '5432', 'u', 'd', '~/pass', '5', 'require', ''];
    const { output, status } = host().run('probe', host().bin, ...args);
    const [exit, said] = output.trim().split('\n');
    expect(said).toMatch(
      /^said=u \/.*\/pass require {2}-XAtwq -h h -p 5432 -d d -v VERBOSITY=sqlstate -c select pg_is_in/,
    );
    expect({ exit, status }).toEqual({ exit: 'exit=2', status: 0 });
  });

  describe('fence', () => {
    const fence = (data: string, stop = 'true', always = 'no') => {
      const { status, output, stderr } = host().act('fence', data, host().bin, stop, always, 'before-promotion');
      return { status, how: /^how=(.*)$/m.exec(output)?.[1], output, stderr };
    };
    beforeEach(() => {
      host().program('postgres', noStandbyNames);
    });

    it('proves that a stopped node stays one', () => {
      const { status, how, output } = fence(host().data());
      expect({ status, how }).toEqual({ status: 0, how: 'already-stopped' });
      expect(output).toMatch(/^checkpoint=0\/3000060$/m);
      expect(output).toMatch(
        /^processes=none\nstandby_signal=yes\nfence_mark=before-promotion\ndata_directory=yes\nanswer=done\n$/m,
      );
      expect(host().read('data/standby.signal')).toBe('before-promotion\n');
    });

    it.each([
      ['by its service', 'stop', stopCommand, 'exit 1', false],
      ['by pg_ctl', 'immediate', 'true', 'kill "$(head -n 1 "$2/postmaster.pid")"', false],
      ['by SIGKILL', 'killed', 'true', 'exit 1', false],
      ['though its postmaster is gone', 'orphans-killed', 'true', 'exit 1', true],
    ])('ends a server %s', async (_title, how, stop, control, isOrphan) => {
      const data = await serveData(host(), isOrphan);
      host().program('pg_ctl', control);
      expect(fence(data, stop)).toMatchObject({ status: 0, how });
      expect(look(data)).toMatchObject({ processes: 'none', fenceMark: 'before-promotion' });
    });

    it('runs the stop command although nothing runs, where it is told to', () => {
      const data = host().data();
      fence(data, `touch "$DATA/no"`);
      fence(data, `touch "$DATA/yes"`, 'yes');
      expect([existsSync(`${data}/no`), existsSync(`${data}/yes`)]).toEqual([false, true]);
    });

    it('leaves the mark of a node that came back beside its successor', () => {
      const data = host().data();
      host().write('data/standby.signal', 'after-return\n');
      expect(fence(data).output).toMatch(/^fence_mark=after-return$/m);
    });

    it('is not proven without a data directory, or without a signal', () => {
      expect(fence(host().path('none'))).toMatchObject({
        status: 1,
        stderr: `no data directory at ${host().path('none')}\n`,
      });
      const data = host().data();
      mkdirSync(`${data}/standby.signal`);
      expect(fence(data)).toMatchObject({
        status: 1,
        stderr: expect.stringMatching(/cannot write standby\.signal\n$/) as string,
        how: undefined,
      });
    });
  });

  describe('stop', () => {
    const stop = (data: string, command = 'true', isService = 'no', wasStandby = 'no') => {
      const { status, output, stderr } = host().act('stop', data, host().bin, command, isService, wasStandby);
      return { status, output: output + stderr };
    };

    it.each([
      ['a service', 'stop', stopCommand, 'yes', false],
      ['a server that nobody manages', 'killed', 'true', 'no', false],
      ['what a postmaster left', 'orphans-killed', 'true', 'no', true],
    ])('ends %s', async (_title, how, command, isService, isOrphan) => {
      const data = await serveData(host(), isOrphan);
      expect(stop(data, command, isService)).toEqual({ status: 0, output: `how=${how}\nanswer=done\n` });
      expect(look(data).processes).toBe('none');
    });

    it('has nothing to do where nothing runs, and where there is nothing', () => {
      expect(stop(host().data())).toEqual({ status: 0, output: 'how=already-stopped\nanswer=done\n' });
      expect(stop(host().path('none'))).toEqual({ status: 0, output: 'how=absent\nanswer=done\n' });
    });

    it('ends a server whose directory was removed', async () => {
      const data = await serveData(host(), true);
      rmSync(data, { recursive: true });
      expect(stop(data)).toEqual({ status: 0, output: 'how=orphans-killed\nanswer=done\n' });
    });

    it('does not stop a standby that was promoted in the meantime, nor what is no directory', async () => {
      const file = host().write('file');
      expect(stop(file)).toMatchObject({
        status: 1,
        output: expect.stringMatching(/^.* cannot be entered/) as string,
      });
      const data = await serveData(host());
      host().program('pg_controldata', 'echo "Database cluster state:               in production"');
      expect(stop(data, 'true', 'no', 'yes')).toEqual({ status: 3, output: 'refused=it was promoted a moment ago\n' });
      expect(look(data).processes).toBe('running');
    });
  });

  describe('start', () => {
    const start = (data: string, command: string, isService = 'no') =>
      host().act('start', data, host().bin, command, isService, host().path('saved'));

    it('runs the start command, with where the log and a postgresql.conf elsewhere are', () => {
      const data = host().data();
      rmSync(`${data}/postgresql.conf`);
      host().write('data/standby.signal');
      const conf = host().write('etc/postgresql.conf');
      host().write('saved/config-file', `${conf}\n`);
      host().write('postgresql.log', 'before');
      const { status, output } = start(data, 'echo "$BIN $DATA $CONF"');
      expect({ status, output }).toEqual({
        status: 0,
        output: `state=started\nlog=${host().path('postgresql.log')}\nsize=6\nanswer=done\n`,
      });
      expect(host().read('postgresql.log')).toBe(`before${host().bin} ${data} ${conf}\n`);
      expect(start(data, 'true', 'yes').output).toContain(`log=${host().path('lock')}.log\n`);
    });

    it('starts nothing beside a server, without a signal, or without data', async () => {
      expect(start(host().path('none'), 'false')).toMatchObject({
        status: 1,
        stderr: `no data directory at ${host().path('none')}\n`,
      });
      const data = host().data();
      expect(start(data, 'touch "$DATA/started"').status).toBe(3);
      const pids = [await host().serve(data), await host().serve(data)];
      const left = start(data, 'touch "$DATA/started"');
      expect({ ...left, stderr: left.stderr.replace(/(\d+) \d+\)/, 'PIDS)') }).toMatchObject({
        status: 1,
        stderr: expect.stringMatching(
          / work in .* \(PIDS\): PostgreSQL cannot start beside them; a stop ends them\n$/,
        ) as string,
      });
      host().write('data/postmaster.pid', `${pids[0]!}\n${data}\n`);
      expect(start(data, 'touch "$DATA/started"').output).toMatch(/^state=running\nlog=.*\nsize=0\nanswer=done\n$/);
      expect(existsSync(`${data}/started`)).toBe(false);
    });
  });

  test('read-log shows the last messages behind a byte, or whatever there is', () => {
    const log = host().write('log', 'LOG:  old\nx\nFATAL:  new\nnoise\nHINT:  more\n');
    expect(host().run('readLog', log, '10').output).toBe('said=FATAL:  new\nsaid=HINT:  more\nanswer=done\n');
    expect(host().run('readLog', host().write('other', 'no such file\n'), '0').output).toBe(
      'said=no such file\nanswer=done\n',
    );
  });

  test('read-progress shows what the startup process and the receiver do', async () => {
    const data = host().data();
    const segment = '000000020000000100000003';
    host().write(`data/pg_wal/${segment}`, 'x'.repeat(100));
    expect(host().run('readProgress', data).output).toMatch(/^hertz=\d+\nanswer=done\n$/);
    await host().serve(data, `postgres: startup recovering ${segment}`);
    await host().serve(data, 'postgres: walreceiver streaming 1/3000060');
    const { output } = host().run('readProgress', data);
    expect(output).toMatch(
      new RegExp(`^startup=startup recovering ${segment} .*\nticks=\\d+\ndisk=\\d+\nsize=100$`, 'm'),
    );
    expect(output).toMatch(/^receiver=walreceiver streaming 1\/3000060/m);
    expect(host().run('readProgress', host().path('none')).status).toBe(1);
  });
});
