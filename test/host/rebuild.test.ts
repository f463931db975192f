// Scripts about the directories of a rebuild: looked at, copied beside, exchanged by rename, emptied, cleared up.

import { existsSync, mkdirSync, readdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { freshSuffix, rebuildMarkName } from '../../domain/facts/data-directory';
import { shells, useHost } from './support';

const id = '20240102T030405Z-abcdefgh';
const older = '20240101T000000Z-abcdefgh';

describe.each(shells)('%s', (_name, shell) => {
  const host = useHost(shell);
  const exists = (name: string): boolean => existsSync(host().path(name));
  /** LINK CURRENT FRESH ASIDE of the data directory and of one tablespace. */
  const places = (): string[] =>
    [
      ['-', 'data'],
      ['1', 'space'],
    ].flatMap(([link, name]) => [
      link!,
      host().path(name!),
      host().path(`${name!}${freshSuffix}`),
      host().path(`${name!}.replaced-${id}`),
    ]);
  const directories = (): string[] => [host().bin, id, host().path('links'), ...places()];

  /** Old data with a tablespace. */
  const makeData = (): void => {
    host().data();
    host().write('space/PG_15_1/1', 'old');
    mkdirSync(host().path('data/pg_tblspc'));
    symlinkSync(host().path('space'), host().path('data/pg_tblspc/1'));
  };
  /** A verified copy beside it. */
  const makeCopy = (): void => {
    host().data(`data${freshSuffix}`);
    host().write(`data${freshSuffix}/backup_label`);
    host().write(`data${freshSuffix}/${rebuildMarkName}`, `${id}\n`);
    host().write(`space${freshSuffix}/PG_15_1/1`, 'new');
    mkdirSync(host().path(`data${freshSuffix}/pg_tblspc`));
    symlinkSync(host().path(`space${freshSuffix}`), host().path(`data${freshSuffix}/pg_tblspc/1`));
  };

  describe('inspect-data', () => {
    const inspect = (...tablespaces: string[]) =>
      host().run(
        'inspectData',
        host().path('data'),
        host().bin,
        host().path('saved'),
        host().path('links'),
        '15',
        ...tablespaces,
      );

    it('prints the look, then each place with what is strange in it', () => {
      makeData();
      host().write('space/letter');
      host().write('data/pg_wal/00000002000000000000000A');
      const { status, output } = inspect('1', host().path('space'), '2', host().path('elsewhere'));
      expect(output).toMatch(/^clock=\d{13}\n[\s\S]*^processes=none$/m);
      const rest = output.slice(output.indexOf('real='));
      const digits = rest.replace(/(id|device|free_bytes|used_kilobytes)=[\d:]+$/gm, '$1=N');
      const place = (number: number, keys: string): string[] => keys.split(' ').map((key) => `place${number}_${key}`);
      const ours = 'exists=yes empty=no owned=yes mount=no renamable=yes id=N device=N free_bytes=N used_kilobytes=N';
      expect(digits.replace(/^machine=[0-9a-f-]{36}$/m, 'machine=ID').split('\n')).toEqual([
        `real=${host().path('data')}`,
        ...place(1, `role=data link=- path=${host().path('data')} ${ours} leftover_kilobytes=`),
        ...['version=15', 'mark=', 'control=yes'],
        ...['own_identifier=7001', 'own_state=shut down', 'own_checkpoint=0/3000060', 'own_timeline=2'],
        'wal=00000002',
        ...place(2, `role=linked link=1 path=${host().path('space')} ${ours} leftover_kilobytes=`),
        ...place(2, `stranger=${host().path('space/letter')}`),
        ...place(3, `role=missing link=2 path=${host().path('elsewhere')} exists=no empty=yes owned=no mount=no`),
        ...place(3, 'renamable=yes id= device=N free_bytes=N used_kilobytes= leftover_kilobytes='),
        ...['places=3', 'machine=ID', 'answer=done', ''],
      ]);
      expect(status).toBe(0);
    });

    it('shows a name with a line break on one line, with a quote', () => {
      makeData();
      mkdirSync(host().path('line\nbreak'));
      symlinkSync(host().path('line\nbreak'), host().path('data/pg_tblspc/2'));
      expect(inspect().output).toMatch(/^place3_path=.*\/line"break$/m);
    });

    it('tells a copy, an unfinished one, and links that are known from a file', () => {
      host().write(`data/${rebuildMarkName}`, `${id}\n`);
      host().write('data/backup_label');
      host().write('space/PG_15_1/1');
      host().write('links', `1 ${host().path('space')}\n`);
      expect(inspect().output).toMatch(
        new RegExp(`^mark=${id}\nunfinished=yes\ncopied=yes\nwal=\nplace2_role=linked\nplace2_link=1$`, 'm'),
      );
      rmSync(host().path('data'), { recursive: true });
      expect(inspect().output).toMatch(/^place1_exists=no\nplace1_empty=yes\nplace1_owned=no$/m);
    });
  });

  test('identify tells the machine, and each directory by its inode', () => {
    host().data();
    const { output } = host().run('identify', host().path('data'), host().path('none'));
    expect(output).toMatch(/^machine=[0-9a-f-]{36}\nprimary=\d+:\d+\nprimary=\d+:\d+\nanswer=done\n$/);
  });

  test('read-mark tells a mark, and an empty directory', () => {
    const read = (): string => host().run('readMark', host().path('data')).output;
    expect(read()).toBe('mark=\nempty=yes\nanswer=done\n');
    host().write(`data/${rebuildMarkName}`, `${id}\n`);
    expect(read()).toBe(`mark=${id}\nanswer=done\n`);
  });

  test('base-backup runs pg_basebackup with the password file', () => {
    host().program('pg_basebackup', 'echo "$PGPASSFILE $LC_ALL ${PGPASSWORD-none} $*"; exit 3');
    expect(host().run('baseBackup', host().bin, '/pass', '-D', 'a b')).toMatchObject({
      status: 3,
      output: '/pass C none -D a b\n',
    });
  });

  describe('verify-backup', () => {
    const verify = () => host().run('verifyBackup', host().bin, host().path('data'), id);
    beforeEach(() => {
      for (const name of ['pg_verifybackup', 'pg_waldump']) host().program(name, 'exit 0');
      host().data();
    });

    it('marks a copy that is right', () => {
      expect(verify().status).toBe(0);
      expect(host().read(`data/${rebuildMarkName}`)).toBe(`${id}\n`);
      expect(exists('data/standby.signal')).toBe(true);
    });

    it('marks nothing whose signal cannot be written', () => {
      symlinkSync('/proc/none/signal', host().path('data/standby.signal'));
      expect(verify().status).toBe(1);
      expect(exists(`data/${rebuildMarkName}`)).toBe(false);
    });

    it('marks nothing else', () => {
      host().program('pg_verifybackup', 'echo one >&2; echo two >&2; exit 1');
      expect(verify()).toMatchObject({ status: 3, output: 'refused=one two\n' });
      host().program('pg_verifybackup', 'kill -9 $$');
      expect(verify().status).toBe(1);
      host().program('pg_verifybackup', `rm -r ${host().path('data')}`);
      expect(verify().status).toBe(1);
      rmSync(host().path('bin/pg_waldump'));
      expect(verify()).toMatchObject({ status: 4, output: expect.stringContaining('wrong=') as string });
    });
  });

  describe('look-after-copy', () => {
    const copy = 'base-backup-20240102t030405z-abcdefgh';
    const lookAfter = (action: string, mode = 'sibling', fresh = host().path(`data${freshSuffix}`)) => {
      const args = [action, host().path('jobs'), copy, 'verify', id, mode, 'no', host().path('data'), fresh];
      const { status, output } = host().act('lookAfterCopy', ...args);
      return `${status ?? '-'} ${output
        .trim()
        .replace(/\nanswer=done$/, '')
        .replace('\n', ' ')}`;
    };
    const makeJob = (name: string, result = '0'): void => {
      host().write(`jobs/${name}/lock`);
      host().write(`jobs/${name}/rc`, `${result}\n`);
    };

    it('tells what is there', () => {
      expect(lookAfter('look')).toBe('0 state=incomplete job=absent');
      makeJob(copy);
      expect(lookAfter('look')).toBe('0 state=incomplete job=done');
      host().write(`data${freshSuffix}/backup_manifest`);
      for (const action of ['look', 'prepare', 'discard']) expect(lookAfter(action)).toBe('0 state=complete job=done');
      host().write(`data/${rebuildMarkName}`, `${id}\n`);
      expect(lookAfter('discard')).toBe('0 state=marked job=done');
    });

    it('makes room, and removes what pg_verifybackup rejected', () => {
      host().write(`data${freshSuffix}/half`);
      expect(lookAfter('prepare')).toBe('0 state=cleared job=absent');
      makeJob(copy);
      makeJob('verify', '3');
      host().write(`data${freshSuffix}/backup_manifest`);
      expect(lookAfter('discard')).toBe('0 state=cleared job=done');
      expect([exists(`data${freshSuffix}`), readdirSync(host().path('jobs'))]).toEqual([false, []]);
    });

    it('removes nothing that may be somebody’s', async () => {
      const refused = (why: RegExp, ...args: [string?, string?]) => {
        expect(lookAfter('prepare', ...args)).toMatch(why);
      };
      host().write('mine/letter');
      refused(/^3 refused=.*mine is not named like a fresh copy/, 'sibling', host().path('mine'));
      refused(/^3 refused=.*mine is not empty, and no base backup/, 'inPlace', host().path('mine'));
      host().write(`data${freshSuffix}/postmaster.pid`);
      refused(/^3 refused=.* was started: it has a postmaster\.pid/);
      await host().serve(host().path(`data${freshSuffix}`));
      refused(/^3 refused=PostgreSQL works in /);
      makeJob('base-backup-20250102t030405z-abcdefgh');
      refused(/^3 refused=a newer rebuild has begun here/);
    });
  });

  describe('set-aside and place', () => {
    const setAside = () => host().act('setAside', ...directories());
    const place = () => host().act('place', ...directories());

    it('exchange the data and its tablespace by renaming', () => {
      makeData();
      makeCopy();
      const aside = setAside();
      expect(aside).toMatchObject({ status: 0, stderr: '' });
      expect(aside.output).toBe(
        `moved=${host().path('data')}\nmoved=${host().path('space')}\naside=${host().path(`data.replaced-${id}`)}\nanswer=done\n`,
      );
      expect(host().read('links')).toBe(`1 ${host().path('space')}\n`);
      expect(host().read(`data.replaced-${id}/pg_tblspc/1/PG_15_1/1`)).toBe('old');
      expect(exists(`data.replaced-${id}/standby.signal`)).toBe(true);
      const placed = place();
      expect(placed).toMatchObject({ status: 0, stderr: '' });
      expect(host().read('data/pg_tblspc/1/PG_15_1/1')).toBe('new');
      expect(readlinkSync(host().path('data/pg_tblspc/1'))).toBe(host().path('space'));
      expect([setAside().output, place().output]).toEqual(['state=placed\nanswer=done\n', 'answer=done\n']);
    });

    it.each([
      ['another cluster’s data', () => host().data('data', '7002'), /^refused=.*data belongs to another cluster/],
      ['what is no data', () => host().write('data/letter'), /^refused=.*data holds no PG_VERSION/],
      [
        'a link',
        () => {
          symlinkSync(host().directory, host().path('data'));
        },
        /^refused=.*is not a directory with that real path/,
      ],
    ])('leave %s', (_title, make, why) => {
      makeCopy();
      make();
      expect(setAside()).toMatchObject({ status: 3, output: expect.stringMatching(why) as string });
      expect(place()).toMatchObject({
        status: 3,
        output: expect.stringContaining('is there and is not the copy') as string,
      });
      expect(exists('data')).toBe(true);
    });

    it('leave everything where the signal cannot be written', () => {
      makeData();
      makeCopy();
      symlinkSync('/proc/none/signal', host().path('data/standby.signal'));
      const { status, stderr } = setAside();
      expect(status).toBe(1);
      expect(stderr).toContain(`cannot write ${host().path('data/standby.signal')}\n`);
      expect(exists('data/PG_VERSION')).toBe(true);
    });

    it('leave everything without a copy, beside a server, and where a letter lies in the tablespace', async () => {
      makeData();
      expect(setAside()).toMatchObject({
        status: 3,
        output: expect.stringContaining('is not the verified copy') as string,
      });
      makeCopy();
      await host().serve(host().path('data'));
      expect(setAside()).toMatchObject({ status: 3, output: expect.stringContaining('processes work in') as string });
      rmSync(host().path('data'), { recursive: true });
      host().write('space/letter');
      expect(setAside()).toMatchObject({
        status: 3,
        output: expect.stringContaining('no link of the replaced') as string,
      });
    });
  });

  describe('remove-data', () => {
    const remove = (version = '15', identifier = '7001') =>
      host().run(
        'removeData',
        host().bin,
        id,
        host().path('links'),
        host().path('saved'),
        version,
        identifier,
        ...places(),
      );
    beforeEach(() => {
      makeData();
      host().write('saved/20240101T000000Z/postgresql.conf');
    });

    it('empties the directories in place, the leftovers of earlier rebuilds first', () => {
      host().write(`data${freshSuffix}/half`);
      expect(remove()).toEqual({
        status: 0,
        output: `emptied=${host().path('space')}\nemptied=${host().path('data')}\nanswer=done\n`,
        stderr: '',
      });
      expect(readdirSync(host().directory).sort()).toEqual(['bin', 'data', 'links', 'saved', 'space']);
      expect([...readdirSync(host().path('data')), ...readdirSync(host().path('space'))]).toEqual([]);
      expect(remove().status).toBe(0);
    });

    it.each([
      ['of another release', () => remove('16'), 'is not of PostgreSQL 16'],
      ['of another cluster', () => remove('15', '7002'), 'belongs to another cluster'],
      [
        'whose configuration is not saved',
        () => (rmSync(host().path('saved'), { recursive: true }), remove()),
        'is not saved in',
      ],
      [
        'with a letter in its tablespace',
        () => (host().write('space/letter'), remove()),
        "space/letter is not PostgreSQL's own",
      ],
      [
        'that is the copy',
        () => (host().write(`data/${rebuildMarkName}`, `${id}\n`), remove()),
        'is the verified copy',
      ],
    ])('leaves data %s', (_title, act, why) => {
      expect(act()).toMatchObject({ status: 3, output: expect.stringContaining(why) as string });
      expect([exists('data/PG_VERSION'), exists('space/PG_15_1/1')]).toEqual([true, true]);
    });

    it('leaves data that a server uses', async () => {
      await host().serve(host().path('data'));
      expect(remove()).toMatchObject({
        status: 3,
        output: `refused=PostgreSQL processes work in ${host().path('data')}\n`,
      });
      expect(exists('data/PG_VERSION')).toBe(true);
    });
  });

  describe('clear-replaced-data and finish-rebuild', () => {
    const clear = (keep: string) => host().run('clearReplacedData', host().bin, id, keep, ...places());
    beforeEach(() => {
      host().data();
      host().write(`data/${rebuildMarkName}`, `${id}\n`);
      for (const name of [`data.replaced-${older}`, `data.replaced-${id}`]) host().data(name);
      host().data('data.replaced-by-hand');
    });

    it('remove what was set aside, but for the last data where it is to be kept', () => {
      const kept = clear('yes');
      expect(kept).toMatchObject({ status: 0, stderr: '' });
      expect(kept.output).toMatch(
        new RegExp(
          `^removed=.*data.replaced-${older}\nkept=.*data.replaced-${id}\nkilobytes=[1-9]\\d*\nanswer=done\n$`,
        ),
      );
      expect(clear('no').output).toBe(`removed=${host().path(`data.replaced-${id}`)}\nanswer=done\n`);
      expect(exists('data.replaced-by-hand')).toBe(true);
    });

    it('leave what is in use, newer, or of another rebuild', async () => {
      host().data('data.replaced-20250101T000000Z-abcdefgh');
      await host().serve(host().path(`data.replaced-${older}`));
      expect(clear('no').output).toBe(
        `used=${host().path(`data.replaced-${older}`)}\nremoved=${host().path(`data.replaced-${id}`)}\nanswer=done\n`,
      );
      expect(exists('data.replaced-20250101T000000Z-abcdefgh')).toBe(true);
      host().write(`data/${rebuildMarkName}`, `${older}\n`);
      expect(clear('no')).toMatchObject({ status: 3, output: expect.stringContaining('of another rebuild') as string });
    });

    it('remove the marks, once', () => {
      host().write(`space/${rebuildMarkName}`, `${id}\n`);
      host().write('links', 'x\n');
      const finish = (): string => host().act('finishRebuild', id, host().path('links'), ...places()).output;
      expect([finish(), finish()]).toEqual(['finished=yes\nanswer=done\n', 'answer=done\n']);
      const left = [`data/${rebuildMarkName}`, `space/${rebuildMarkName}`, 'links', 'data/pgpool-runbook.restored'];
      expect(left.filter(exists)).toEqual([]);
      expect(clear('no')).toMatchObject({ status: 0, output: 'answer=done\n' });
    });
  });

  test('remove-leftover-marks removes the names that it is given', () => {
    for (const name of ['a b', 'c', 'd']) host().write(`data/${name}`);
    expect(host().act('removeLeftoverMarks', host().path('data'), 'a b', 'c').status).toBe(0);
    expect(readdirSync(host().path('data'))).toEqual(['d']);
    expect(host().act('removeLeftoverMarks', host().path('none'), 'c').status).not.toBe(0);
  });
});
