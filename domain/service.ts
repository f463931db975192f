// How PostgreSQL is stopped and started on a node, as shell text. The words "$BIN", "$DATA" are set by the script that runs it.

import type { ClusterConfiguration, NodeConfiguration } from './cluster';

export interface ServiceCommands {
  /** Stops cleanly; bounded by the caller. */
  readonly stop: string;
  readonly start: string;
}

/**
 * The presets never trust an exit status; callers prove the result.
 * systemd needs sudo for exactly these commands; the unit name follows Debian's layout (postgresql@15-main) or PGDG's (postgresql-15).
 */
export function serviceCommands(configuration: ClusterConfiguration, node: NodeConfiguration): ServiceCommands {
  const { service } = configuration.postgres;
  const debian = /\/postgresql\/([0-9]+)\/([A-Za-z0-9_-]+)\/?$/.exec(node.dataDirectory);
  switch (service.kind) {
    case 'commands':
      return { stop: service.stop, start: service.start };
    case 'systemd': {
      const unit = debian
        ? `postgresql@${debian[1]!}-${debian[2]!}.service`
        : `postgresql-$(cat "$DATA/PG_VERSION").service`;
      return { stop: `sudo -n systemctl stop ${unit}`, start: `sudo -n systemctl start ${unit}` };
    }
    case 'pg_ctlcluster': {
      const cluster = debian ? `${debian[1]!} ${debian[2]!}` : '"$(cat "$DATA/PG_VERSION")" main';
      return { stop: `pg_ctlcluster ${cluster} stop -m fast`, start: `pg_ctlcluster ${cluster} start` };
    }
    case 'pg_ctl':
      return {
        stop: '"$BIN/pg_ctl" -D "$DATA" -m fast -t 2 stop',
        start: '"$BIN/pg_ctl" -D "$DATA" -w -t 60 -l "$DATA/../postgresql.log" start',
      };
  }
}
