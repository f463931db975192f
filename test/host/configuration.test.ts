// Scripts about the configuration files of a stopped node: saved in sets, read, put back into a copy, adapted.

import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, utimesSync } from 'node:fs';
import { rebuildMarkName } from '../../domain/facts/data-directory';
import { shells, useHost } from './support';

const id = '20240102T030405Z-abcdefgh';
const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe.each(shells)('%s', (_name, shell) => {
  const host = useHost(shell);
  const saved = (): string => host().path('saved');
  const save = () => host().act('saveConfiguration', host().path('data'), saved(), host().path('jobs'));
  const sets = (): string[] => readdirSync(saved()).filter((name) => /^[0-9]/.test(name));

  describe('save-configuration', () => {
    beforeEach(() => {
      host().data();
      host().write('data/pg_hba.conf', 'local all all trust\n');
      host().write('data/conf.d/own name.conf', 'work_mem = 1MB\n');
    });

    it('saves what is configuration, once', () => {
      for (const name of ['postmaster.pid', 'core.12', 'server.log', 'base/1', 'pgpool-runbook.new'])
        host().write(`data/${name}`);
      host().write('data/dump', 'x'.repeat(17 * 1024 * 1024));
      mkdirSync(host().path('data/pg_tblspc'));
      mkdirSync(host().path('data/space'));
      symlinkSync(host().path('data/space'), host().path('data/pg_tblspc/1'));
      const { status, output, stderr } = save();
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      const [set] = sets();
      expect(output).toBe(`mark=\nleft=dump (larger than 16 MiB)\nsaved=3\nset=${saved()}/${set!}\nanswer=done\n`);
      expect(readdirSync(`${saved()}/${set!}`).sort()).toEqual(['conf.d', 'pg_hba.conf', 'postgresql.conf']);
      expect(host().read(`saved/${set!}/conf.d/own name.conf`)).toBe('work_mem = 1MB\n');
      expect(save().output).toBe(`mark=\nleft=dump (larger than 16 MiB)\nset=${saved()}/${set!}\nanswer=done\n`);
    });

    it('keeps the five newest sets, each newer by name than the last', () => {
      for (let round = 0; round < 7; round += 1) {
        host().write('data/pg_hba.conf', String(round));
        expect(save().status).toBe(0);
      }
      expect(sets()).toHaveLength(5);
      expect(host().read(`saved/${sets().sort().at(-1)!}/pg_hba.conf`)).toBe('6');
    });

    it('remembers a postgresql.conf that is elsewhere', () => {
      rmSync(host().path('data/postgresql.conf'));
      const conf = host().write('etc/postgresql.conf');
      host().write('data/postmaster.opts', `/bin/postgres "-D" "${host().path('data')}" "-c" "config_file=${conf}"\n`);
      expect(save().status).toBe(0);
      expect(host().read('saved/config-file')).toBe(`${conf}\n`);
    });

    it.each([
      ['an unfinished copy', rebuildMarkName, 'is an unfinished fresh copy'],
      ['a copy that was never started', 'backup_label', 'is a copy that was never started'],
    ])('skips %s', (_title, name, why) => {
      host().write(`data/${name}`, `${id}\n`);
      const { status, output } = save();
      expect({ status, output }).toEqual({ status: 0, output: expect.stringContaining(why) as string });
      expect(existsSync(saved())).toBe(false);
    });

    it('skips what has lost a file, and keeps the last set', () => {
      save();
      rmSync(host().path('data/pg_hba.conf'));
      expect(save().output).toMatch(/^skipped=.* has lost its pg_hba\.conf\nset=.*\/saved\/[0-9TZ]+$/m);
      rmSync(host().path('data/PG_VERSION'));
      expect(save().output).toMatch(/^skipped=.* has no PG_VERSION$/m);
      rmSync(host().path('data'), { recursive: true });
      expect(save().output).toMatch(/^skipped=there is no data directory/m);
    });

    it('skips a copy that was started before it was verified', () => {
      utimesSync(host().write('jobs/base-backup-a/script'), 1000, 1000);
      utimesSync(host().write('data/backup_label.old'), 999, 999);
      expect(save().output).toMatch(/^saved=/m);
      utimesSync(host().path('data/backup_label.old'), 1001, 1001);
      expect(save().output).toMatch(
        /^skipped=a rebuild that has not ended may have written into .*\(base-backup-a\)$/m,
      );
    });

    it('refuses to save inside the data directory', () => {
      const { status, output } = host().act('saveConfiguration', host().path('data'), host().path('data/saved'));
      expect({ status, output }).toEqual({
        status: 4,
        output: expect.stringMatching(/^wrong=.*paths\.saved/m) as string,
      });
    });
  });

  describe('read-configuration', () => {
    const read = () => host().act('readConfiguration', host().path('data'), saved(), host().bin);
    beforeEach(() => {
      host().program('postgres', 'case $2 in primary_slot_name) echo slot_a;; *) echo "host=a port=$2";; esac');
    });

    it('reads the file, its last set, and PostgreSQL’s own answers', () => {
      host().data();
      host().write('data/standby.signal');
      save();
      host().write('data/postgresql.auto.conf', 'x = 1\n');
      host().write(`saved/${sets()[0]!}/postgresql.auto.conf`, 'y = 2\n');
      expect(read().output.split('\n').slice(0, -1)).toEqual([
        'mark=',
        `set=${saved()}/${sets()[0]!}`,
        `auto=${base64('x = 1\n')}`,
        `saved=${base64('y = 2\n')}`,
        `effective=${base64('host=a port=primary_conninfo\n')}`,
        'slot=slot_a',
        'standby=yes',
        'recovery=no',
        'answer=done',
      ]);
      host().write('data/postgresql.auto.conf', "primary_conninfo = 'host=b'\n");
      expect(read().output).not.toContain('effective=');
    });

    it('refuses while a server runs, and without data', async () => {
      expect(read()).toMatchObject({
        status: 3,
        output: `refused=there is no data directory at ${host().path('data')}\n`,
      });
      await host().serve(host().data());
      expect(read()).toMatchObject({
        status: 3,
        output: `refused=PostgreSQL processes work in ${host().path('data')}\n`,
      });
    });
  });

  describe('restore-configuration', () => {
    const restore = (set: string, auto: string) =>
      host().act('restoreConfiguration', host().path('data'), id, set, base64(auto));
    beforeEach(() => {
      host().data();
      host().write(`data/${rebuildMarkName}`, `${id}\n`);
      host().write('data/pg_hba.conf', 'theirs\n');
      host().write('data/other.conf', 'theirs\n');
    });

    it('puts the set in place of what the copy brought, once', () => {
      const set = host().path('set');
      for (const name of ['postgresql.conf', 'pg_hba.conf', 'conf.d/a b.conf']) host().write(`set/${name}`, 'ours\n');
      host().write('set/postgresql.auto.conf', 'old\n');
      expect(restore(set, 'auto\n')).toEqual({ status: 0, output: 'changed=yes\nanswer=done\n', stderr: '' });
      expect(host().read('data/conf.d/a b.conf')).toBe('ours\n');
      expect(host().read('data/postgresql.auto.conf')).toBe('auto\n');
      expect(existsSync(host().path('data/other.conf'))).toBe(false);
      host().write('data/pg_hba.conf', 'mended\n');
      expect(restore(set, 'auto\n').output).toBe('changed=no\nanswer=done\n');
      expect(host().read('data/pg_hba.conf')).toBe('mended\n');
    });

    it('changes only postgresql.auto.conf without a set', () => {
      expect(restore('', 'auto\n').output).toBe('changed=yes\nanswer=done\n');
      expect(host().read('data/pg_hba.conf')).toBe('theirs\n');
    });

    it('refuses another copy, and fails without the set', () => {
      expect(restore(host().path('none'), '')).toMatchObject({ status: 1, stderr: `${host().path('none')} is gone\n` });
      host().write(`data/${rebuildMarkName}`, 'other\n');
      expect(restore('', '').status).toBe(3);
    });
  });

  test('configure-standby writes what was computed from the file that is there, and the signal', () => {
    host().data();
    const auto = host().write('data/postgresql.auto.conf', 'seen\n');
    host().write('data/recovery.signal');
    const configure = (seen: string) =>
      host().act('configureStandby', host().path('data'), base64(seen), base64('wanted\n'));
    expect(configure('other\n')).toMatchObject({ status: 1, stderr: `${auto} has changed since it was read\n` });
    expect(host().read('data/postgresql.auto.conf')).toBe('seen\n');
    expect(configure('seen\n')).toEqual({ status: 0, output: 'answer=done\n', stderr: '' });
    expect(host().read('data/postgresql.auto.conf')).toBe('wanted\n');
    expect(['standby', 'recovery'].map((name) => existsSync(host().path(`data/${name}.signal`)))).toEqual([
      true,
      false,
    ]);
  });
});
