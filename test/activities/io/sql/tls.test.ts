// Connections by sslMode to a real server: one that lets in only encrypted ones, only plain ones, or has no TLS.
import { execFileSync } from 'node:child_process';
import { chownSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { probeFrom } from '../../../../activities/io/host/host-facts';
import { readNodeFacts } from '../../../../activities/io/sql/node-facts';
import { SqlConnections, type SqlFailure } from '../../../../activities/io/sql/postgres';
import { sqlTarget } from '../../../../activities/io/tools';
import type { ClusterConfiguration } from '../../../../domain/facts/cluster';
import { type Bed, startBed, waitFor } from '../../support';

type Mode = ClusterConfiguration['postgres']['sslMode'];

let bed: Bed;
let rules: string;
/** Of node 0's own certificate, which names its address; and of somebody else. */
let [root, stranger] = ['', ''];
const at = (name: string): string => path.join(bed.layout.directory, name);

/** Self-signed: its own root. */
function makeCertificate(name: string): string {
  const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=IP:${bed.node(0).host}`];
  const files = ['-keyout', at(`${name}.key`), '-out', at(`${name}.crt`)];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...subject, ...files], {
    stdio: 'ignore',
  });
  if (process.getuid?.() === 0) chownSync(at(`${name}.key`), bed.layout.user.uid, bed.layout.user.gid);
  return at(`${name}.crt`);
}

beforeAll(async () => {
  bed = await startBed('tls', 2);
  rules = readFileSync(path.join(bed.node(0).dataDirectory, 'pg_hba.conf'), 'utf8');
  [root, stranger] = [makeCertificate('server'), makeCertificate('stranger')];
});
afterAll(() => bed.down());

/** pg_hba.conf of both nodes has lines of this kind only; TLS is on or off there. */
async function serve(kind: 'host' | 'hostssl' | 'hostnossl', ssl: 'on' | 'off'): Promise<void> {
  // Over the connections that may be made until then.
  for (const { id, dataDirectory } of bed.configuration.nodes) {
    writeFileSync(path.join(dataDirectory, 'pg_hba.conf'), rules);
    await askAs('prefer', 'select pg_reload_conf()', id);
    const files = `alter system set ssl_cert_file = '${root}'; alter system set ssl_key_file = '${at('server.key')}'`;
    await waitFor(() => bed.ask(id, 'select 1').then(() => true), { what: 'a plain connection', timeoutMs: 5000 });
    for (const text of [...files.split('; '), `alter system set ssl = ${ssl}`]) await bed.ask(id, text);
    writeFileSync(path.join(dataDirectory, 'pg_hba.conf'), rules.replaceAll(/^host/gm, kind));
    await bed.ask(id, 'select pg_reload_conf()');
    const isServing = (): Promise<boolean> =>
      bed.ask(id, 'show ssl').then(
        (row) => kind !== 'hostssl' && row['ssl'] === ssl,
        () => kind === 'hostssl',
      );
    await waitFor(isServing, { what: 'the reload', timeoutMs: 5000 });
  }
}

const configurationWith = (sslMode: Mode, sslRootCertificate: string | null = null): ClusterConfiguration => ({
  ...bed.configuration,
  postgres: { ...bed.configuration.postgres, sslMode, sslRootCertificate },
});

/** On a connection of its own. */
async function askAs(
  mode: Mode,
  text: string,
  node = 0,
  certificate: string | null = null,
): Promise<Record<string, unknown> | undefined> {
  const sql = new SqlConnections();
  try {
    const target = sqlTarget(configurationWith(mode, certificate), bed.node(node));
    return (await sql.query<Record<string, unknown>>(target, text, { timeoutMs: 5000 }))[0];
  } finally {
    await sql.close();
  }
}

/** Whether it is encrypted, or what it was refused with. */
async function connectAs(mode: Mode, node = 0, certificate: string | null = null): Promise<unknown> {
  const text = 'select ssl from pg_stat_ssl where pid = pg_backend_pid()';
  return await askAs(mode, text, node, certificate).then(
    (row) => row?.['ssl'],
    (error: unknown) => `${(error as SqlFailure).kind}: ${(error as SqlFailure).message}`,
  );
}

const unverified = ['disable', 'prefer', 'require'] as const;
const matching = (text: string): unknown => expect.stringMatching(new RegExp(`^rejected: PostgreSQL at .*${text}`));

it.each([
  ['a server without TLS', 'host', 'off', [false, false, matching('does not support SSL')]],
  ['a server with both', 'host', 'on', [false, true, true]],
  ['hostssl only', 'hostssl', 'on', [matching('no encryption'), true, true]],
  ['hostnossl only', 'hostnossl', 'on', [false, false, matching('SSL encryption')]],
] as const)('%s: disable, prefer and require', async (_, kind, ssl, expected) => {
  await serve(kind, ssl);
  expect(await Promise.all(unverified.map((mode) => connectAs(mode)))).toEqual(expected);
});

describe('hostssl only', () => {
  beforeAll(() => serve('hostssl', 'on'));

  it('with the default a node answers, to the worker and to the other node', async () => {
    const configuration = configurationWith('prefer');
    expect(await readNodeFacts(bed.tools.sql, configuration, bed.node(0), 5000)).toMatchObject({ sql: 'answered' });
    expect(await probeFrom(bed.tools, configuration, bed.node(1), bed.node(0), 5000)).toMatchObject({
      answer: 'answered',
    });
  });

  it('the other node asks as the cluster file says', async () => {
    const ask = (mode: Mode, certificate: string | null) =>
      probeFrom(bed.tools, configurationWith(mode, certificate), bed.node(1), bed.node(0), 5000);
    expect(await ask('disable', null)).toMatchObject({ answer: 'rejected' });
    expect(await ask('verify-full', root)).toMatchObject({ answer: 'answered' });
    // A certificate that cannot be checked says nothing about the node itself.
    expect(await ask('verify-full', stranger)).toMatchObject({ answer: 'unknown' });
  });

  it.each([
    ['require', 0, 'its own root', true],
    ['require', 0, 'another root', matching('self.signed certificate')],
    ['verify-ca', 0, 'its own root', true],
    ['verify-ca', 1, 'its own root', true],
    ['verify-ca', 0, 'another root', matching('self.signed certificate')],
    ['verify-full', 0, 'its own root', true],
    ['verify-full', 1, 'its own root', matching("does not match certificate's altnames")],
    ['verify-full', 0, 'another root', matching('self.signed certificate')],
  ] as const)('%s of node %i by %s', async (mode, node, whose, expected) => {
    expect(await connectAs(mode, node, whose === 'its own root' ? root : stranger)).toEqual(expected);
  });

  it('a root certificate that cannot be read is named', async () => {
    expect(await connectAs('verify-ca', 0, '/nowhere/root.crt')).toEqual(matching('ENOENT.*/nowhere/root.crt'));
  });

  it('a frozen server is silent within its time', async () => {
    const sql = new SqlConnections();
    await bed.lab.freeze(0);
    const startedAt = Date.now();
    const asking = sql.query(sqlTarget(configurationWith('prefer'), bed.node(0)), 'select 1', { timeoutMs: 400 });
    await expect(asking).rejects.toMatchObject({ kind: 'silent' });
    expect(Date.now() - startedAt).toBeLessThan(1500);
    bed.lab.thaw(0);
    await sql.close();
  });

  it('a server that stops says so', async () => {
    const sql = new SqlConnections();
    const target = sqlTarget(configurationWith('prefer'), bed.node(0));
    await sql.query(target, 'select 1', { timeoutMs: 5000 });
    const pgCtl = path.join(bed.configuration.postgres.bin, 'pg_ctl');
    const stop = `runuser -u ${bed.layout.user.name} -- ${pgCtl} -D ${bed.node(0).dataDirectory} -m smart -W stop`;
    execFileSync('/bin/sh', ['-c', process.getuid?.() === 0 ? stop : stop.replace(/^.* -- /, '')], { cwd: '/' });
    const kind = (): Promise<string> =>
      askAs('prefer', 'select 1').then(
        () => 'answered',
        (error: unknown) => (error as SqlFailure).kind,
      );
    await waitFor(async () => (await kind()) === 'recovering', { what: 'SQLSTATE 57P03', timeoutMs: 5000 });
    await sql.close();
  });
});
