// loadClusterFile: defaults, and one sentence with a line for every problem of a single key.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { ConfigurationError, loadClusterFile, parseClusterFile } from '../../configuration/load';
import { clusterFile, edit } from './cluster-file';

function problemsOf(text: string): readonly string[] {
  try {
    parseClusterFile(text, 'shop.yaml');
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
  return [];
}

test('a minimal file gets every default', () => {
  const ssh = { port: 22, user: 'postgres', identityFile: '~/.ssh/id_ed25519' };
  const node = (id: number, host: string) => ({
    ...{ id, host, port: 5432, dataDirectory: '/srv/main', applicationName: null, priority: 100 },
    ssh: { host, ...ssh },
  });
  expect(parseClusterFile(clusterFile, 'shop.yaml')).toEqual({
    cluster: 'shop',
    nodes: [node(0, '10.0.0.10'), node(1, '10.0.0.11'), node(2, '10.0.0.12')],
    postgres: {
      bin: '/usr/lib/postgresql/15/bin',
      user: 'postgres',
      database: 'postgres',
      replicationUser: 'replicator',
      passFile: '~/.pgpass',
      sslMode: 'prefer',
      sslRootCertificate: null,
      service: { kind: 'pg_ctl' },
    },
    ssh: { knownHostsFile: '~/.ssh/known_hosts' },
    paths: { savedConfiguration: '~/pgpool-runbook/saved', jobs: '~/pgpool-runbook/jobs' },
    pgpool: [
      { name: 'pgpool0', host: '127.0.0.1', port: 9999, pcpPort: 9898, pcpUser: 'pgpool', passFile: '~/.pcppass' },
    ],
    policy: {
      maximumLagBytes: 16777216,
      unreachableHost: 'proceed',
      fenceCommand: [],
      crashRecoveryMs: 3000,
      follow: ['repoint', 'rebuild'],
      baseBackup: { maximumRateKilobytes: 0, compression: 'none' },
      replacedData: 'keep',
      divergedWrites: 'park',
      rejoin: 'automatic',
      synchronous: { standbys: 0, whenNone: 'degrade' },
      minimumIntervalMs: 60000,
      reattachMs: 60000,
      actOn: 'pgpool',
    },
    temporal: { address: '127.0.0.1:7233', namespace: 'default', taskQueue: 'pgpool-runbook' },
  });
});

test("a node's ssh keys override the cluster's one by one", () => {
  const own = '/srv/main, ssh: { port: 2222, host: jump1 } }\n  - { id: 1';
  const text = `${edit(clusterFile, '/srv/main }\n  - { id: 1', own)}ssh: { user: dba, port: 2200, identityFile: /etc/key }\n`;
  const { nodes, ssh } = parseClusterFile(text, 'shop.yaml');
  expect(nodes[0]?.ssh).toEqual({ host: 'jump1', port: 2222, user: 'dba', identityFile: '/etc/key' });
  expect(nodes[1]?.ssh).toEqual({ host: '10.0.0.11', port: 2200, user: 'dba', identityFile: '/etc/key' });
  expect(ssh).toEqual({ knownHostsFile: '~/.ssh/known_hosts' });
});

test('a service is a preset or the commands themselves', () => {
  const withService = (service: string) => edit(clusterFile, '15/bin\n', `15/bin\n  service: ${service}\n`);
  const read = (service: string) => parseClusterFile(withService(service), 'shop.yaml').postgres.service;
  expect(read('systemd')).toEqual({ kind: 'systemd' });
  expect(read('pg_ctlcluster')).toEqual({ kind: 'pg_ctlcluster' });
  const commands = { start: 'sudo svc up', stop: 'sudo svc down' };
  expect(read(`{ commands: ${JSON.stringify(commands)} }`)).toEqual({ kind: 'commands', ...commands });
  expect(problemsOf(withService('initd'))[0]).toMatch(
    /^shop.yaml:8: postgres.service must be one of pg_ctl, .*commands/,
  );
  expect(problemsOf(withService('{ commands: { start: s3cret } }'))).toEqual([
    'shop.yaml:8: postgres.service.commands.stop is missing: write the stop command: one line of shell',
  ]);
});

/** Title, replaced text, replacement, expected start of the only problem. */
const single: readonly (readonly [string, string, string, string])[] = [
  ['a bad cluster name', 'shop', 'Shop_1', '1: cluster must be 1 to 40 of a-z 0-9 -, not "Shop_1"'],
  ['a number for a name', 'shop', '42', '1: cluster must be 1 to 40 of a-z 0-9 -, not 42'],
  ['a missing cluster', 'cluster: shop\n', '', '1: cluster is missing: write 1 to 40 of'],
  [
    'a missing key, at its parent',
    '  bin: /usr/lib/postgresql/15/bin',
    '  user: dba',
    '6: postgres.bin is missing: write the directory of',
  ],
  ['a missing key of a list item', 'id: 1, ', '', '4: nodes[1].id is missing: write a whole number, 0 to 127'],
  ['an empty value', 'shop', '', '1: cluster must be 1 to 40 of a-z 0-9 -, not empty'],
  ['an empty section', 'pgpool:', 'ssh:\npgpool:', '8: ssh must be a mapping of keys to values, not empty'],
  ['a list for a section', 'pgpool:', 'ssh: []\npgpool:', '8: ssh must be a mapping of keys to values, without a'],
  ['a section for a list', '- { name', '  { name', '8: pgpool must be a list of at least one pgpool, not a mapping'],
  [
    'an item that is no mapping',
    'pgpool:\n',
    'pgpool:\n  - 7\n',
    '9: pgpool[0] must be a mapping of keys to values, not 7',
  ],
  [
    'an unknown key',
    'bin:',
    'pasword: s3cret\n  bin:',
    '7: postgres.pasword is not a known key: remove it or use one of bin, user',
  ],
  ['an unknown key of every object', 'bin:', 'constructor: x\n  bin:', '7: postgres.constructor is not a known key'],
  ['the prototype as a key', 'bin:', '__proto__: {}\n  bin:', '7: postgres.__proto__ is not a known key'],
  ['a merge key', 'bin:', '<<: { user: x }\n  bin:', '7: postgres."<<" is not a known key'],
  ['an unknown key in an item', 'id: 2,', 'id: 2, ssh: { prot: 1 },', '5: nodes[2].ssh.prot is not a known key'],
  ['a key written twice', 'bin:', 'bin: /a\n  bin:', '8: postgres.bin is written twice (first on line 7): keep one'],
  [
    'a password for a file',
    'bin:',
    'passFile: s3cret\n  bin:',
    '7: postgres.passFile must be a PostgreSQL password file',
  ],
  ['a port of 0', 'id: 1,', 'id: 1, port: 0,', '4: nodes[1].port must be a whole number, 1 to 65535, not 0'],
  ['a port that is too great', 'id: 1,', 'id: 1, port: 65536,', '4: nodes[1].port must be a whole number, 1 to 65535'],
  [
    'a port in quotes',
    'id: 1,',
    'id: 1, port: "5432",',
    '4: nodes[1].port must be a whole number, 1 to 65535, not "5432"',
  ],
  ['half a port', 'id: 1,', 'id: 1, port: 5.5,', '4: nodes[1].port must be a whole number, 1 to 65535, not 5.5'],
  ['an id above 127', 'id: 1,', 'id: 128,', '4: nodes[1].id must be a whole number, 0 to 127, not 128'],
  ['a negative priority', 'id: 1,', 'id: 1, priority: -1,', '4: nodes[1].priority must be a whole number, 0 to 1000'],
  ['a host with a blank', '10.0.0.11', 'a b', '4: nodes[1].host must be a host name or an IP address'],
  ['a host that is an option', '10.0.0.11', '-oProxyCommand', '4: nodes[1].host must be a host name or an IP address'],
  ['a host with a command', '10.0.0.11', '$(id)', '4: nodes[1].host must be a host name or an IP address'],
  ['a host with a quote', '10.0.0.11', '"a\'b"', '4: nodes[1].host must be a host name or an IP address'],
  ['a host that is a socket directory', '10.0.0.11', '/tmp', '4: nodes[1].host must be a host name or an IP address'],
  [
    'an application name with a letter beyond ASCII',
    'id: 1,',
    'id: 1, applicationName: knöten,',
    '4: nodes[1].applicationName must be 1 to 63 printable ASCII characters',
  ],
  [
    'an application name of 64 characters',
    'id: 1,',
    `id: 1, applicationName: ${'a'.repeat(64)},`,
    '4: nodes[1].applicationName must be 1 to 63 printable ASCII characters',
  ],
  [
    'an application name that means everybody',
    'id: 1,',
    'id: 1, applicationName: "*",',
    '4: nodes[1].applicationName must be 1 to 63 printable ASCII characters other than "*" alone, not "*"',
  ],
  [
    'an empty application name',
    'id: 1,',
    'id: 1, applicationName: "",',
    '4: nodes[1].applicationName must be 1 to 63 printable ASCII characters',
  ],
  [
    'a relative data directory',
    '/srv/main',
    'srv/main',
    "3: nodes[0].dataDirectory must be the node's data directory: an absolute path",
  ],
  [
    'the root directory',
    '/srv/main',
    '/',
    "3: nodes[0].dataDirectory must be the node's data directory: an absolute path",
  ],
  [
    'a data directory with a quote',
    '/srv/main',
    '"/srv/a\'b"',
    "3: nodes[0].dataDirectory must be the node's data directory: an absolute path",
  ],
  [
    'a data directory with a double quote',
    '/srv/main',
    '/srv/a"b',
    "3: nodes[0].dataDirectory must be the node's data directory: an absolute path",
  ],
  [
    'a data directory with a line feed',
    '/srv/main',
    '"/srv/a\\nb"',
    "3: nodes[0].dataDirectory must be the node's data directory: an absolute path",
  ],
  [
    'a data directory that climbs',
    '/srv/main',
    '/srv/../etc',
    "3: nodes[0].dataDirectory must be the node's data directory: an absolute path",
  ],
  [
    'a slash at the end',
    '/srv/main',
    '/srv/main/',
    "3: nodes[0].dataDirectory must be the node's data directory: an absolute path",
  ],
  [
    'two slashes',
    '/srv/main',
    '/srv//main',
    "3: nodes[0].dataDirectory must be the node's data directory: an absolute path",
  ],
];

test.each(single)('%s is reported', (_title, from, to, expected) => {
  const problems = problemsOf(edit(clusterFile, from, to));
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(`shop.yaml:${expected}`);
  expect(problems[0]).not.toContain('s3cret');
});

/** A line 10 added to the file, and the expected start of the only problem. */
const appended: readonly (readonly [string, string])[] = [
  ['ssh: { user: "a b" }', 'ssh.user must be an operating system user'],
  [
    'ssh: { identityFile: key }',
    'ssh.identityFile must be a private key file: an absolute path or one that starts with ~/',
  ],
  ['ssh: { knownHostsFile: ~root/hosts }', 'ssh.knownHostsFile must be a known_hosts file'],
  ['ssh: { host: a }', 'ssh.host is not a known key: remove it or use one of user, port, identityFile, knownHostsFile'],
  ['paths: { jobs: jobs }', 'paths.jobs must be a directory on each node'],
  ['policy: { maximumLagBytes: -1 }', 'policy.maximumLagBytes must be a whole number of bytes, 0 or more, not -1'],
  [
    'policy: { maximumLagBytes: 16MB }',
    'policy.maximumLagBytes must be a whole number of bytes, 0 or more, not "16MB"',
  ],
  ['policy: { maximumLagBytes: .inf }', 'policy.maximumLagBytes must be a whole number of bytes'],
  ['policy: { maximumLagBytes: 1e300 }', 'policy.maximumLagBytes must be a whole number of bytes'],
  ['policy: { unreachableHost: wait }', 'policy.unreachableHost must be one of proceed, park, not "wait"'],
  [
    'policy: { crashRecoveryMs: 0 }',
    'policy.crashRecoveryMs must be a whole number of milliseconds, 1 to 86400000, not 0',
  ],
  ['policy: { unreachableFromPgpoolMs: 10000 }', 'policy.unreachableFromPgpoolMs is not built yet: leave it out'],
  ['policy: { minimumIntervalMs: 86400001 }', 'policy.minimumIntervalMs must be a whole number of milliseconds'],
  ['policy: { follow: rebuild }', 'policy.follow must be a list from repoint, rebuild'],
  ['policy: { follow: [rebuild, clone] }', 'policy.follow[1] must be one of repoint, rebuild (rewind is'],
  [
    'policy: { follow: [repoint, rewind, rebuild] }',
    'policy.follow[1] must be one of repoint, rebuild (rewind is not built yet: a rebuild takes its place), not "rewind"',
  ],
  ['policy: { replacedData: true }', 'policy.replacedData must be one of keep, remove, removeFirst, not true'],
  ['policy: { divergedWrites: keep }', 'policy.divergedWrites must be one of park, discard, not "keep"'],
  ['policy: { rejoin: no }', 'policy.rejoin must be one of automatic, manual, not "no"'],
  [
    'policy: { synchronous: { standbys: 0.5 } }',
    'policy.synchronous.standbys must be a whole number, 0 to 15, not 0.5',
  ],
  ['policy: { synchronous: { whenNone: x } }', 'policy.synchronous.whenNone must be one of degrade, wait, not "x"'],
  ['policy: { slots: physical }', 'policy.slots is not built yet: leave it out'],
  ['policy: { slotRetentionBytes: 0 }', 'policy.slotRetentionBytes is not built yet: leave it out'],
  ['policy: { fenceCommand: s3cret }', 'policy.fenceCommand must be a list: a program and its arguments, or []'],
  [
    'policy: { fenceCommand: [/bin/f, "s3cret\\n"] }',
    'policy.fenceCommand[1] must be a text without control characters',
  ],
  ['temporal: { address: 127.0.0.1 }', 'temporal.address must be a host and a port, such as 127.0.0.1:7233'],
  ['temporal: { address: "127.0.0.1:70000" }', 'temporal.address must be a host and a port'],
  ['temporal: { address: "http://a:7233" }', 'temporal.address must be a host and a port'],
  ['temporal: { namespace: a/b }', 'temporal.namespace must be a Temporal namespace'],
  ['temporal: { taskQueue: "" }', 'temporal.taskQueue must be a task queue'],
];

test.each(appended)('%s is reported', (line, expected) => {
  const problems = problemsOf(`${clusterFile}${line}\n`);
  expect(problems[0]).toContain(`shop.yaml:10: ${expected}`);
  expect(problems.filter((problem) => !problem.includes(':10: '))).toEqual([]);
  expect(problems.join()).not.toContain('s3cret');
});

test.each(['::1', 'fe80::1', '2001:db8::10', 'db-1.example.org', 'db_1', '10.0.0.1'])('%s is a host', (host) => {
  expect(problemsOf(edit(clusterFile, '10.0.0.10', `'${host}'`))).toEqual([]);
});

test.each(['pg-0', 'STANDBY.01', 'pg1.example.com', '192.168.56.11', "it's", 'a "b"', '15/main', 'a'.repeat(63)])(
  '%s is an application name',
  (name) => {
    const text = edit(clusterFile, 'id: 1,', `id: 1, applicationName: ${JSON.stringify(name)},`);
    expect(parseClusterFile(text, 'shop.yaml').nodes[1]?.applicationName).toBe(name);
  },
);

test.each(['temporal.example.org:7233', '[::1]:7233'])('%s is a Temporal address', (address) => {
  expect(problemsOf(`${clusterFile}temporal: { address: '${address}' }\n`)).toEqual([]);
});

test('every problem is listed at once, in the order of the file', () => {
  const text = `cluster: Shop
nodes:
  - id: 0
    host: "a b"
    dataDirectory: /srv/main
    prot: 1
  - { id: 0, host: 10.0.0.11, dataDirectory: / }
  - 5
postgres: { user: x, user: y }
pgpool: []
policy: { follow: [rebuild, repoint] }
unknown: 1
`;
  expect(problemsOf(text).map((problem) => problem.split(/ (?:must|is|repeats)/)[0])).toEqual([
    'shop.yaml:1: cluster',
    'shop.yaml:4: nodes[0].host',
    'shop.yaml:6: nodes[0].prot',
    'shop.yaml:7: nodes[1].dataDirectory',
    'shop.yaml:7: nodes[1].id',
    'shop.yaml:8: nodes[2]',
    'shop.yaml:9: postgres.user',
    'shop.yaml:9: postgres.bin',
    'shop.yaml:10: pgpool',
    'shop.yaml:11: policy.follow',
    'shop.yaml:12: unknown',
  ]);
});

test.each([
  ['an open bracket', 'cluster: shop\nnodes: [\n', 'shop.yaml:3: this is not YAML: '],
  ['a tab', 'cluster: shop\nnodes:\n\t- 1\n', 'shop.yaml:3: this is not YAML: '],
  ['an unknown tag', 'cluster: !secret shop\n', 'shop.yaml:1: this is not YAML: '],
  ['two documents', 'cluster: shop\n---\ncluster: shop\n', 'shop.yaml:2: this is not YAML: '],
  ['an alias', 'cluster: &a shop\nnodes: *a\n', 'shop.yaml:2: *a is a YAML alias'],
  ['an alias of itself', 'cluster: &a [*a]\n', 'shop.yaml:1: *a is a YAML alias'],
  ['deep nesting', '['.repeat(100_000), 'shop.yaml:1: this is not YAML: '],
  ['nothing', '', 'shop.yaml:1: the file is empty'],
  ['only comments', '# cluster: shop\n', 'shop.yaml:1: the file is empty'],
  ['a text', 'shop\n', 'shop.yaml:1: the file must be a mapping of keys to values, not "shop"'],
  ['a list', '- shop\n', 'shop.yaml:1: the file must be a mapping of keys to values, without a leading dash'],
])('a file with %s is reported', (_title, text, expected) => {
  expect(problemsOf(text)[0]).toContain(expected);
});

test('each broken line is reported once, by what is wrong first', () => {
  const lines = problemsOf('a: "\\q"\nb: @x\nc: `y\n').map((problem) => problem.split(':')[1]);
  expect(lines).toEqual(['1', '2', '3']);
  expect(problemsOf('a: [1\nb: 2\n- c')).toEqual([
    expect.stringMatching(/^shop\.yaml:2: this is not YAML: Flow sequence/),
    expect.stringMatching(/^shop\.yaml:3: this is not YAML: Implicit keys need to be on a single line$/),
  ]);
});

test('of a key written three times each repetition is reported, and the value that counts is the last', () => {
  expect(
    problemsOf(edit(clusterFile, 'bin: /', 'bin: /a\n  bin: /b\n  bin: ')).map((line) => line.slice(0, 67)),
  ).toEqual([
    'shop.yaml:8: postgres.bin is written twice (first on line 7): keep ',
    'shop.yaml:9: postgres.bin is written twice (first on line 7): keep ',
    "shop.yaml:9: postgres.bin must be the directory of PostgreSQL's pro",
  ]);
});

test('a file that cannot be read is a configuration error with the path and the cause', () => {
  const directory = mkdtempSync(join(tmpdir(), 'cluster-file-'));
  try {
    const path = join(directory, 'shop.yaml');
    expect(() => loadClusterFile(path)).toThrow(`${path}:1: the cluster file cannot be read (ENOENT)`);
    expect(() => loadClusterFile(directory)).toThrow(`${directory}:1: the cluster file cannot be read (EISDIR)`);
    writeFileSync(path, `\ufeff${clusterFile.replaceAll('\n', '\r\n')}`);
    expect(loadClusterFile(path)).toEqual(parseClusterFile(clusterFile, path));
    writeFileSync(path, edit(clusterFile, 'shop', 'Shop').replaceAll('\n', '\r\n'));
    expect(() => loadClusterFile(path)).toThrow(`${path}:1: cluster must be`);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

/** Texts near a cluster file find more than texts from anywhere. */
const nearlyClusterFile = fc
  .tuple(
    fc.nat(clusterFile.length),
    fc.nat(20),
    fc.oneof(fc.string(), fc.constantFrom('\n', '- ', ': ', '{', ']', '&a ', '*a', '!', '? ')),
  )
  .map(([at, length, inserted]) => clusterFile.slice(0, at) + inserted + clusterFile.slice(at + length));

test('any text is a configuration or a configuration error whose every line names the file', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), nearlyClusterFile, fc.json()), (text) => {
      for (const problem of problemsOf(text)) expect(problem).toMatch(/^shop.yaml:[0-9]+: [^\n]+$/);
    }),
    { numRuns: 2000 },
  );
});
