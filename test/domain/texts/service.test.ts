// The stop and start commands of each way to run PostgreSQL, as shell text that a shell accepts.

import { execFileSync } from 'node:child_process';
import { type ServiceCommands, serviceCommands } from '../../../domain/texts/service';
import type { ServiceConfiguration } from '../../../domain/facts/cluster';
import { makeConfiguration } from '../builders';

function commands(service: ServiceConfiguration, dataDirectory: string): ServiceCommands {
  const configuration = makeConfiguration({ nodes: { 1: { dataDirectory } }, postgres: { service } });
  return serviceCommands(configuration, configuration.nodes[1]!);
}

const debian = '/var/lib/postgresql/15/main';
const other = '/var/lib/pgsql/15/data';

test.each([
  [
    'pg_ctl',
    debian,
    '"$BIN/pg_ctl" -D "$DATA" -m fast -t 2 stop',
    `"$BIN/pg_ctl" -D "$DATA" -s -w -t 3 -l "$LOG" \${CONF:+-o "-c config_file='$CONF'"} start`,
    null,
  ],
  [
    'systemd',
    debian,
    'sudo -n systemctl stop postgresql@15-main.service',
    'sudo -n systemctl start postgresql@15-main.service',
    'journalctl -u postgresql@15-main.service',
  ],
  [
    'systemd',
    `${debian}/`,
    'sudo -n systemctl stop postgresql@15-main.service',
    'sudo -n systemctl start postgresql@15-main.service',
    'journalctl -u postgresql@15-main.service',
  ],
  [
    'systemd',
    other,
    'sudo -n systemctl stop postgresql-$(cat "$DATA/PG_VERSION").service',
    'sudo -n systemctl start postgresql-$(cat "$DATA/PG_VERSION").service',
    `journalctl -u 'postgresql-*'`,
  ],
  [
    'pg_ctlcluster',
    debian,
    'pg_ctlcluster 15 main stop -m fast',
    'pg_ctlcluster 15 main start',
    'the file that pg_lsclusters names',
  ],
  [
    'pg_ctlcluster',
    other,
    'pg_ctlcluster "$(cat "$DATA/PG_VERSION")" main stop -m fast',
    'pg_ctlcluster "$(cat "$DATA/PG_VERSION")" main start',
    'the file that pg_lsclusters names',
  ],
] as const)('%s with %s', (kind, dataDirectory, stop, start, log) => {
  expect(commands({ kind }, dataDirectory)).toEqual({ stop, start, log });
});

test('the site’s own commands are taken as they are', () => {
  const service = { kind: 'commands', start: 'rc-service pg start', stop: 'rc-service pg stop' } as const;
  expect(commands(service, debian)).toEqual({ start: service.start, stop: service.stop, log: null });
});

test('a data directory with shell characters never reaches the text of a command', () => {
  for (const kind of ['pg_ctl', 'systemd', 'pg_ctlcluster'] as const) {
    const { stop, start } = commands({ kind }, '/srv/postgresql/15/a;touch b');
    expect(`${stop} ${start}`).not.toContain('touch');
    for (const text of [stop, start]) execFileSync('sh', ['-n', '-c', text]);
  }
});
