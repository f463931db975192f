// Fills in the defaults that depend on other keys of the cluster file.

import type { ClusterConfiguration } from '../domain/facts/cluster';
import type { ClusterFile } from './schema';

export function complete(file: ClusterFile): ClusterConfiguration {
  const { service } = file.postgres;
  const { knownHostsFile, ...sshDefaults } = file.ssh;
  return {
    ...file,
    nodes: file.nodes.map(({ applicationName, ssh, ...node }) => ({
      ...node,
      applicationName: applicationName ?? null,
      ssh: {
        host: ssh.host ?? node.host,
        port: ssh.port ?? sshDefaults.port,
        user: ssh.user ?? sshDefaults.user,
        identityFile: ssh.identityFile ?? sshDefaults.identityFile,
      },
    })),
    postgres: {
      ...file.postgres,
      sslRootCertificate: file.postgres.sslRootCertificate ?? null,
      service: typeof service === 'string' ? { kind: service } : { kind: 'commands', ...service.commands },
    },
    ssh: { knownHostsFile },
  };
}
