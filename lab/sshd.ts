// The nodes' sshds: one each, unprivileged, on the node's address, with a host key of its own.
import { readFileSync, appendFileSync } from 'node:fs';
import path from 'node:path';
import { startDaemon } from './daemon';
import { makeDirectoryFor, writeFor } from './files';
import type { Layout, NodeLayout } from './layout';
import { labVariable, runOrFail } from './processes';
import { isListening } from './network';

const directoryOf = (node: NodeLayout): string => path.join(node.directory, 'ssh');

async function createKey(layout: Layout, file: string, comment: string, signal: AbortSignal): Promise<string> {
  const argv = ['-q', '-t', 'ed25519', '-N', '', '-C', comment, '-f', file];
  await runOrFail(layout.tools.sshKeygen, argv, { user: layout.user, signal });
  return readFileSync(`${file}.pub`, 'utf8').trim();
}

/** Creates the worker's identity key, an empty known_hosts file, and every node's host key and sshd_config. */
export async function createSsh(layout: Layout, signal: AbortSignal): Promise<void> {
  const { user, worker } = layout;
  writeFor(user, worker.knownHostsFile, '', 0o644);
  const identity = await createKey(layout, worker.identityFile, `worker@${layout.name}`, signal);
  await Promise.all(
    layout.nodes.map(async (node) => {
      const directory = directoryOf(node);
      makeDirectoryFor(user, directory, 0o700);
      const hostKey = await createKey(layout, path.join(directory, 'host_key'), `node${node.id}`, signal);
      writeFor(user, path.join(directory, 'authorized_keys'), `${identity}\n`);
      writeFor(user, path.join(directory, 'sshd_config'), formatConfiguration(layout, node));
      const key = hostKey.split(' ').slice(0, 2).join(' ');
      appendFileSync(worker.knownHostsFile, `[${node.host}]:${node.sshPort} ${key}\n`);
    }),
  );
}

function formatConfiguration(layout: Layout, node: NodeLayout): string {
  const directory = directoryOf(node);
  return `ListenAddress ${node.host}:${node.sshPort}
HostKey ${directory}/host_key
AuthorizedKeysFile ${directory}/authorized_keys
AllowUsers ${layout.user.name}
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitUserEnvironment no
PrintMotd no
Subsystem sftp internal-sftp
AcceptEnv PGPASSFILE
SetEnv ${labVariable}=${node.directory}
`;
}

/** Starts the node's sshd in the foreground (its pid is then the listener's) and waits until it listens. */
export async function startSshd(layout: Layout, node: NodeLayout, signal?: AbortSignal): Promise<void> {
  const plan = {
    key: `sshd${node.id}`,
    command: layout.tools.sshd,
    argv: ['-D', '-e', '-f', path.join(directoryOf(node), 'sshd_config')],
    directory: node.directory,
    logFile: path.join(node.directory, 'sshd.log'),
    isReady: () => isListening(node.host, node.sshPort),
    timeoutMs: 10_000,
  };
  await startDaemon(layout, plan, signal);
}
