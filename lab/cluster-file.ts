// The lab's cluster file, as a user of an existing cluster writes it by hand.
import path from 'node:path';
import { stringify } from 'yaml';
import { writeFor } from './files';
import { users, type Layout } from './layout';

/** Writes the cluster file. The directories on the nodes are absolute: all nodes of a lab share one home directory. */
export function writeClusterFile(layout: Layout): void {
  const { nodes, pgpool, worker, temporal } = layout;
  const contents = {
    cluster: layout.name,
    nodes: nodes.map((node) => ({
      id: node.id,
      host: node.host,
      port: node.port,
      dataDirectory: node.dataDirectory,
      applicationName: `node${node.id}`,
      ssh: { port: node.sshPort },
    })),
    postgres: {
      bin: layout.tools.postgresBin,
      user: users.superuser,
      replicationUser: users.replication,
      passFile: worker.passFile,
    },
    ssh: { user: layout.user.name, identityFile: worker.identityFile, knownHostsFile: worker.knownHostsFile },
    paths: { savedConfiguration: path.join(layout.directory, 'saved'), jobs: path.join(layout.directory, 'jobs') },
    pgpool: [
      {
        name: 'pgpool0',
        host: pgpool.host,
        port: pgpool.port,
        pcpPort: pgpool.pcpPort,
        pcpUser: users.pcp,
        passFile: worker.pcpPassFile,
      },
    ],
    // A lab's standbys fail all day, and no person detaches one on purpose.
    policy: { reattachMs: 2000 },
    temporal: {
      address: `${temporal.host}:${temporal.port}`,
      namespace: temporal.namespace,
      taskQueue: temporal.taskQueue,
    },
  };
  writeFor(layout.user, layout.clusterFile, stringify(contents), 0o644);
}
