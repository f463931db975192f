// The shell commands that stop and start PostgreSQL on a node. The script that runs them sets "$BIN", "$DATA" and
// "$LOG", and "$CONF" where postgresql.conf does not lie in the data directory.

import type { ClusterConfiguration, NodeConfiguration } from '../facts/cluster';

export interface ServiceCommands {
  /** Stops cleanly; bounded by the caller. */
  readonly stop: string;
  /** Starts, and may return before the server answers, because crash recovery may take long. Output goes to "$LOG". */
  readonly start: string;
  /** The other place for the server's messages; null when all are in "$LOG". */
  readonly log: string | null;
}

export interface DebianCluster {
  readonly version: string;
  readonly name: string;
}

/**
 * Version and name by a data directory in Debian's layout, such as /var/lib/postgresql/15/main; null for any other
 * layout.
 */
export function findDebianCluster(dataDirectory: string): DebianCluster | null {
  const match = /\/postgresql\/([0-9]+)\/([A-Za-z0-9_-]+)\/?$/.exec(dataDirectory);
  return match && { version: match[1]!, name: match[2]! };
}

/**
 * The presets never trust an exit status; callers prove the result.
 * systemd needs sudo for exactly these commands; the unit name follows Debian's layout (postgresql@15-main) or PGDG's
 * (postgresql-15).
 */
export function serviceCommands(configuration: ClusterConfiguration, node: NodeConfiguration): ServiceCommands {
  const { service } = configuration.postgres;
  const debian = findDebianCluster(node.dataDirectory);
  switch (service.kind) {
    case 'commands':
      return { stop: service.stop, start: service.start, log: null };
    case 'systemd': {
      const unit = debian
        ? `postgresql@${debian.version}-${debian.name}.service`
        : `postgresql-$(cat "$DATA/PG_VERSION").service`;
      return {
        stop: `sudo -n systemctl stop ${unit}`,
        start: `sudo -n systemctl start ${unit}`,
        log: `journalctl -u ${debian ? unit : `'postgresql-*'`}`,
      };
    }
    case 'pg_ctlcluster': {
      const cluster = debian ? `${debian.version} ${debian.name}` : '"$(cat "$DATA/PG_VERSION")" main';
      return {
        stop: `pg_ctlcluster ${cluster} stop -m fast`,
        start: `pg_ctlcluster ${cluster} start`,
        log: 'the file that pg_lsclusters names',
      };
    }
    case 'pg_ctl':
      return {
        stop: '"$BIN/pg_ctl" -D "$DATA" -m fast -t 2 stop',
        start: `"$BIN/pg_ctl" -D "$DATA" -s -w -t 3 -l "$LOG" \${CONF:+-o "-c config_file='$CONF'"} start`,
        log: null,
      };
  }
}
