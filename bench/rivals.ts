// The alternatives, installed in a lab: pgpool's own sample scripts as the package ships them, with the settings that
// their comments ask for, and the article's scripts with today's commands.

import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { makeDirectoryFor, writeFor } from '../lab/files';
import type { Lab } from '../lab/lab';
import { users, type NodeLayout } from '../lab/layout';
import { keptDirectory } from '../lab/snapshot';

/** The side whose scripts answer pgpool's failover_command and follow_primary_command. */
export interface Side {
  readonly name: string;
  /** The last lines of pgpool.conf. */
  readonly lines: string;
}

const sampleDirectory = '/usr/share/doc/pgpool2/examples/scripts';

/** The project's hook, as the generated pgpool.conf has it. */
export const ours: Side = { name: 'pgpool-runbook', lines: '' };

/** @throws Error when the package has no documentation */
export function installSamples(lab: Lab): Side {
  const directory = makeScriptDirectory(lab, 'samples');
  for (const name of ['failover.sh', 'follow_primary.sh'])
    writeFor(lab.layout.user, join(directory, name), setUpSample(lab, directory, readSample(name)), 0o755);
  const all = '%d %h %p %D %m %H %M %P %r %R';
  return {
    name: "pgpool's sample scripts",
    lines: formatHooks(`${directory}/failover.sh ${all} %N %S`, `${directory}/follow_primary.sh ${all}`),
  };
}

function readSample(name: string): string {
  const file = join(sampleDirectory, `${name}.sample`);
  if (existsSync(file)) return readFileSync(file, 'utf8');
  if (existsSync(`${file}.gz`)) return gunzipSync(readFileSync(`${file}.gz`)).toString();
  throw new Error(`${file} is missing: install the package pgpool2 with its documentation`);
}

/** Sets the settings at the top of each script, and replaces the values of its author's site. */
function setUpSample({ layout, passFile, pcpPassFile }: Lab, directory: string, script: string): string {
  const { tools, user, worker, pgpool, nodes } = layout;
  const ssh = [
    ...['-o StrictHostKeyChecking=no', '-o UserKnownHostsFile=/dev/null', `-o SetEnv=PGPASSFILE=${passFile}`],
    ...[`-p ${nodes[0]!.sshPort}`, `-i ${worker.identityFile}`],
  ].join(' ');
  const settings: Record<string, string> = {
    PGHOME: join(tools.postgresBin, '..'),
    POSTGRESQL_STARTUP_USER: user.name,
    SSH_OPTIONS: `"${ssh}"`,
    ARCHIVEDIR: join(directory, 'archive'),
    REPLUSER: users.replication,
    PCP_USER: users.pcp,
    PGPOOL_PATH: join(tools.pgpool, '..'),
    PCP_PORT: String(pgpool.pcpPort),
  };
  const set = Object.entries(settings).reduce(
    (text, [key, value]) => text.replace(new RegExp(`^${key}=.*$`, 'm'), () => `${key}=${value}`),
    script,
  );
  return set
    .replace('\n', `\nexport PGUSER=${users.superuser} PGPASSFILE=${passFile} PCPPASSFILE=${pcpPassFile}\n`)
    .replaceAll('/var/lib/pgsql/.pgpass', passFile)
    .replaceAll('pcp_attach_node -w -h localhost', `pcp_attach_node -w -h ${pgpool.host}`)
    .replaceAll('user=${POSTGRESQL_STARTUP_USER} ', `user=${users.superuser} `)
    .replaceAll('application_name=${NODE_HOST}', 'application_name=node${NODE_ID}');
}

/**
 * Makes a running standby one that the samples can repoint. They write primary_conninfo to a file of their own, which
 * counts only if postgresql.auto.conf has none, as after their own recovery_1st_stage.
 */
export function formatSampleRecovery(lab: Lab, node: NodeLayout): { readonly file: string; readonly text: string } {
  const conninfo = formatConninfo(lab, node.id, 0);
  return { file: join(node.dataDirectory, 'myrecovery.conf'), text: `primary_conninfo = '${conninfo}'\n` };
}

/**
 * The article's failover.sh, followmaster.sh and do_followmaster.sh: its steps in its order, with its node numbers.
 * @param checkpoint `spread` is how the article calls pg_basebackup
 */
export function installArticle(lab: Lab, checkpoint: 'fast' | 'spread'): Side {
  const directory = makeScriptDirectory(lab, `article-${checkpoint}`);
  const { user, worker, nodes, tools } = lab.layout;
  const ssh = `ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -p ${nodes[0]!.sshPort} -i ${worker.identityFile} -l ${user.name} -T`;
  const scripts: Record<string, string> = {
    'failover.sh': `#!/bin/sh
# node number, host and data directory of the main node
[ "$1" = 0 ] || exit 0
${ssh} "$2" ${tools.postgresBin}/pg_ctl -D "$3" promote
exit 0
`,
    'followmaster.sh': `#!/bin/sh
# host, node number, data directory, host of the new primary
[ "$2" = 2 ] || exit 0
${ssh} "$1" ${directory}/do_followmaster.sh "$2" "$3" "$4"
echo followmaster.sh: end
exit 0
`,
    'do_followmaster.sh': formatRebuild(lab, directory, checkpoint),
  };
  for (const [name, text] of Object.entries(scripts)) writeFor(user, join(directory, name), text, 0o755);
  return {
    name: `the article's scripts${checkpoint === 'fast' ? ' with -c fast' : ''}`,
    lines: formatHooks(`${directory}/failover.sh %d %H %R`, `${directory}/followmaster.sh %h %d %D %H`),
  };
}

/** The script that rebuilds node ID in DATA from PRIMARY: `sh FILE ID DATA PRIMARY`, on the node. */
function formatRebuild({ layout, passFile }: Lab, directory: string, checkpoint: 'fast' | 'spread'): string {
  const { tools, nodes } = layout;
  const bin = tools.postgresBin;
  const [port, fast] = [String(nodes[0]!.port), checkpoint === 'fast' ? ' -c fast' : ''];
  return `#!/bin/sh
ID=$1 DATA=$2 PRIMARY=$3 SAVED=${directory}/saved$1
export PGPASSFILE=${passFile}
${bin}/pg_ctl -D "$DATA" -m immediate stop
rm -rf "$DATA"
${bin}/pg_basebackup -h "$PRIMARY" -p ${port} -U ${users.replication} -w -D "$DATA" -X stream${fast}
cp "$SAVED"/* "$DATA"
${bin}/pg_ctl -D "$DATA" -l "$DATA.log" start
`;
}

/**
 * The files that the article keeps ready for a standby: its own settings, and the connection to the node that will be
 * the primary.
 */
export function saveForArticle(lab: Lab, checkpoint: 'fast' | 'spread', id: number, primary: number): void {
  const { user } = lab.layout;
  const directory = join(makeScriptDirectory(lab, `article-${checkpoint}`), `saved${id}`);
  if (!existsSync(directory)) makeDirectoryFor(user, directory, 0o700);
  const kept = keptDirectory(lab.layout, 'small', id);
  for (const name of ['postgresql.conf', 'pg_hba.conf'])
    writeFor(user, join(directory, name), readFileSync(join(kept, name), 'utf8'));
  const conninfo = formatConninfo(lab, id, primary);
  writeFor(user, join(directory, 'postgresql.auto.conf'), `primary_conninfo = '${conninfo}'\n`);
  writeFor(user, join(directory, 'standby.signal'), '');
}

export function articleRebuildScript(lab: Lab, checkpoint: 'fast' | 'spread'): string {
  return join(makeScriptDirectory(lab, `article-${checkpoint}`), 'do_followmaster.sh');
}

/** A directory below the lab's, so that it is removed with the lab. */
export function rivalsDirectory(lab: Lab): string {
  return join(lab.directory, 'rivals');
}

function makeScriptDirectory(lab: Lab, name: string): string {
  const directory = join(rivalsDirectory(lab), name);
  mkdirSync(rivalsDirectory(lab), { recursive: true });
  if (!existsSync(directory)) makeDirectoryFor(lab.layout.user, directory);
  return directory;
}

function formatConninfo({ layout, passFile }: Lab, id: number, primary: number): string {
  const { host, port } = layout.nodes[primary]!;
  return `host=${host} port=${port} user=${users.replication} application_name=node${id} passfile=${passFile}`;
}

function formatHooks(failover: string, follow: string): string {
  return `\nfailover_command = '${failover}'\nfollow_primary_command = '${follow}'\n`;
}
