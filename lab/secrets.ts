// Random passwords, kept only in files of mode 0600 inside the lab: .pgpass, .pcppass, pool_passwd, pcp.conf (a hash).
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { writeFor } from './files';
import { users, type Layout } from './layout';

export interface Passwords {
  readonly superuser: string;
  readonly replication: string;
  readonly pcp: string;
}

/** Creates the passwords and every file that holds one. */
export function createPasswords(layout: Layout): Passwords {
  const [superuser, replication, pcp] = [1, 2, 3].map(() => randomBytes(18).toString('base64url')) as [
    string,
    string,
    string,
  ];
  const { user, worker, pgpool, nodes } = layout;
  const servers = [...nodes, pgpool].map(({ host, port }) => `${host}:${port}:*`);
  const lines = servers.flatMap((server) => [
    `${server}:${users.superuser}:${superuser}`,
    `${server}:${users.replication}:${replication}`,
  ]);
  writeFor(user, worker.passFile, `${lines.join('\n')}\n`);
  writeFor(user, worker.pcpPassFile, `${pgpool.host}:${pgpool.pcpPort}:${users.pcp}:${pcp}\n`);
  // pgpool needs the plain password, because it answers each node's SCRAM challenge in the client's name.
  const poolPasswords = `${users.superuser}:TEXT${superuser}\n${users.replication}:TEXT${replication}\n`;
  writeFor(user, path.join(pgpool.directory, 'pool_passwd'), poolPasswords);
  const hash = createHash('md5').update(pcp).digest('hex');
  writeFor(user, path.join(pgpool.directory, 'pcp.conf'), `${users.pcp}:${hash}\n`);
  return { superuser, replication, pcp };
}

/** The superuser's password, from the lab's .pgpass. */
export function readSuperuserPassword(layout: Layout): string {
  const line = readFileSync(layout.worker.passFile, 'utf8')
    .split('\n')
    .find((entry) => entry.includes(`:${users.superuser}:`));
  const password = line?.split(':').at(-1);
  if (!password) throw new Error(`${layout.worker.passFile} has no line for ${users.superuser}`);
  return password;
}
