// Scripts about a node's WAL: what is there, whether it holds a record, saving what only this node has. pg_waldump is a stand-in that
// prints the text that a segment holds behind its first page's address.

import { existsSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { shells, useHost } from './support';

const size = 16384;
const id = '20240102T030405Z-abcdefgh';

/** A segment of that timeline and number: its first page's address at byte 8, then text. */
function segment(timeline: number, number: number, text = '', address = number * size): readonly [string, Buffer] {
  const bytes = Buffer.alloc(size, ' ');
  bytes.writeBigUInt64LE(BigInt(address), 8);
  bytes.write(text, 16);
  const [log, rest] = [Math.floor((number * size) / 2 ** 32), number % (2 ** 32 / size)];
  return [[timeline, log, rest].map((part) => part.toString(16).toUpperCase().padStart(8, '0')).join(''), bytes];
}

const commit = (lsn: string, time: string): string =>
  `rmgr: Transaction len (rec/tot):     34/    34, tx:        735, lsn: ${lsn}, prev 0/00, desc: COMMIT ${time} UTC\n`;

describe.each(shells)('%s', (_name, shell) => {
  const host = useHost(shell);
  const wal = (): string => host().path('data/pg_wal');
  const put = ([name, bytes]: readonly [string, Buffer]): string => {
    writeFileSync(`${wal()}/${name}`, bytes);
    return name;
  };

  beforeEach(() => {
    host().data();
    // -t TIMELINE -s FROM -p DIRECTORY: what the segments of that timeline hold.
    host().program(
      'pg_waldump',
      `[ "$1" != --version ] || exit 0
       found=$(cat "$6/$(printf %08X "$2")"*[0-9A-F] 2>/dev/null | tr -d '\\0' | grep -a -o 'rmgr:.*')
       [ -n "$found" ] || { echo "pg_waldump: error: could not find a valid record after $4" >&2; exit 1; }
       echo "$found"`,
    );
  });

  describe('look-at-wal', () => {
    const look = () =>
      host().run('lookAtWal', host().path('data'), host().bin, host().path('set'), 'pgpool-runbook.rebuild');

    it('tells where it is, how its branch came about, and what was saved', () => {
      put(segment(2, 3));
      put(segment(1, 4));
      put([`${segment(3, 9)[0]}.partial`, Buffer.alloc(0)]);
      host().write('data/pg_wal/00000002.history', '1\t0/5000\tno reason\n');
      host().write('set/report', 'from=0/1\n');
      host().write('data/backup_label');
      host().write('data/pgpool-runbook.rebuild', 'id\n');
      const { status, output } = look();
      expect(status).toBe(0);
      expect(output.split('\n').slice(0, -1)).toEqual([
        `set=${host().path('set')}`,
        'report_from=0/1',
        'rebuild=id',
        'backup_label=yes',
        'fence_mark=none',
        'identifier=7001',
        'state=shut down',
        'checkpoint=0/3000060',
        'timeline=2',
        `wal=${wal()}`,
        'wal_timeline=2',
        'history=1\t0/5000\tno reason',
        'answer=done',
      ]);
    });

    it('says why there is none, and fails without pg_waldump', () => {
      expect(look().output).toMatch(/^seen=there is no WAL in /m);
      put(segment(1, 1));
      rmSync(host().path('bin/pg_waldump'));
      expect(look()).toMatchObject({
        status: 4,
        output: expect.stringMatching(/^wrong=pg_waldump cannot be run/m) as string,
      });
      rmSync(wal(), { recursive: true });
      expect(look().output).toMatch(/^seen=.*pg_wal cannot be entered$/m);
      rmSync(host().path('data'), { recursive: true });
      expect(look()).toMatchObject({
        status: 0,
        output: expect.stringMatching(/^seen=there is no data dir/m) as string,
      });
    });
  });

  describe('find-record', () => {
    const find = (ranges: string) => host().run('findRecord', wal(), host().bin, ranges);

    it('finds one in any of the ranges, from the first segment that is there', () => {
      put(segment(1, 3));
      put(segment(2, 4, commit('0/10100', '2024-01-02 03:04:05.123456')));
      // Set up for later use: an older address.
      put(segment(2, 5, '', 0));
      expect(find('1 0/8000 0/10000\n2 0/10000 -').output).toBe('start=0/C000\nrecord=yes\nanswer=done\n');
      expect(find('1 0/C100 0/10000').output).toBe('start=0/C100\nrecord=no\nanswer=done\n');
      expect(find('3 0/C100 -').output).toBe('record=no\nanswer=done\n');
      expect(find('2 0/14000 -').output).toBe('record=no\nanswer=done\n');
    });

    it('cannot tell where pg_waldump fails', () => {
      put(segment(1, 3));
      host().program('pg_waldump', 'echo "no permission" >&2; exit 1');
      expect(find('1 0/C000 -')).toMatchObject({ status: 1, stderr: 'pg_waldump said: no permission\n' });
    });
  });

  describe('save-diverged-wal', () => {
    const set = (): string => host().path(`saved/diverged-wal-${id}`);
    const save = (keep = 'no', ranges = '1 0/C000 0/10000\n2 0/10000 -') =>
      host().run('saveDivergedWal', wal(), host().bin, set(), ranges, 'fork=0/C000', keep);

    it('copies the segments and histories, and reports what they hold', () => {
      const one = put(segment(1, 3, commit('0/C100', '2024-01-02 03:04:05.123456')));
      const two = put(
        segment(2, 4, commit('0/10100', '2024-01-02 03:04:06') + commit('0/10200', '2024-01-02 03:04:07.5')),
      );
      put(segment(1, 1));
      host().write('data/pg_wal/00000002.history');
      const { status, output, stderr } = save();
      expect({ status, output, stderr }).toEqual({
        status: 0,
        output: 'progress=1 of 2 WAL files are copied\nprogress=2 of 2 WAL files are copied\nanswer=done\n',
        stderr: '',
      });
      expect(readdirSync(set()).sort()).toEqual([one, two, '00000002.history', 'report'].sort());
      expect(host().read(`saved/diverged-wal-${id}/report`)).toBe(
        'fork=0/C000\nfrom=0/C000\nto=0/10228\nbytes=16936\ncommits=3\nlast_commit=2024-01-02T03:04:07.5Z\nended=\n',
      );
    });

    it('keeps the set of replaced data aside, and of all sets the five newest', () => {
      put(segment(1, 3, commit('0/C100', '2024-01-02 03:04:05')));
      for (let year = 2010; year < 2017; year += 1)
        host().write(`saved/diverged-wal-${year}0101T000000Z-abcdefgh/report`);
      host().write(`saved/diverged-wal-${id}/report`, 'old');
      expect(save('yes', '1 0/C000 -').status).toBe(0);
      const sets = readdirSync(host().path('saved'));
      expect(sets.filter((name) => /Z-abcdefgh$/.test(name))).toHaveLength(5);
      expect(sets.filter((name) => /Z-abcdefgh\.\d{8}T\d{6}Z$/.test(name))).toHaveLength(1);
    });

    it('saves nothing that pg_waldump cannot read, and nothing that is gone', () => {
      put(segment(1, 3));
      expect(save()).toMatchObject({
        status: 1,
        stderr: expect.stringMatching(/^pg_waldump cannot read the copy/m) as string,
      });
      expect(save('no', '9 0/C000 -')).toMatchObject({
        status: 1,
        stderr: expect.stringMatching(/^there is no WAL/) as string,
      });
      expect(readdirSync(host().path('saved'))).toEqual([]);
    });
  });

  describe('look-at-unarchived and save-unarchived', () => {
    const act = (name: 'lookAtUnarchived' | 'saveUnarchived') =>
      host().run(name, host().path('data'), host().path('set'));

    it('tell and save what is still to be archived, and keep another life’s file beside', () => {
      host().write('data/pg_wal/archive_status/A.ready');
      host().write('data/pg_wal/archive_status/B.done');
      host().write('data/pg_wal/archive_status/gone.ready');
      utimesSync(host().write('data/pg_wal/A', 'text'), 1000, 1000);
      expect(act('lookAtUnarchived').output).toBe(`set=${host().path('set')}\nready=A 4 1000\nanswer=done\n`);
      expect(act('saveUnarchived')).toEqual({
        status: 0,
        output: 'progress=1 WAL files are saved, the last A\nanswer=done\n',
        stderr: '',
      });
      expect(act('saveUnarchived').output).toBe('answer=done\n');
      expect(act('lookAtUnarchived').output).toMatch(/\nsaved=A 4 1000\nanswer=done\n$/);
      utimesSync(host().write('data/pg_wal/A', 'other'), 2000, 2000);
      expect(act('saveUnarchived').status).toBe(0);
      expect([host().read('set/A'), host().read('set/A.1000')]).toEqual(['other', 'text']);
    });

    it('have nothing to do where nothing is archived, and cannot tell what is no data', () => {
      for (const name of ['lookAtUnarchived', 'saveUnarchived'] as const)
        expect(act(name)).toMatchObject({ status: 0, output: 'answer=done\n' });
      rmSync(wal(), { recursive: true });
      expect(act('lookAtUnarchived').status).toBe(1);
      expect(existsSync(host().path('set'))).toBe(false);
    });

    it('say when a set cannot be made', () => {
      host().write('data/pg_wal/archive_status/A.ready');
      host().write('data/pg_wal/A', 'text');
      host().write('set', 'a file');
      expect(act('saveUnarchived')).toMatchObject({
        status: 1,
        stderr: expect.stringMatching(/cannot make \/.*set\n$/) as string,
      });
    });
  });
});
