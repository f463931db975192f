// Rules between keys of the cluster file: each is reported at the line of the later of two keys that disagree.

import { ConfigurationError, parseClusterFile } from '../../configuration/load';
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

const secondNode = '{ id: 1, host: 10.0.0.11, dataDirectory: /srv/main }';
const thirdNode = '{ id: 2, host: 10.0.0.12, dataDirectory: /srv/main }';
const firstPgpool = '  - { name: pgpool0, host: 127.0.0.1 }\n';
const last = 'host: 127.0.0.1 }\n';

/** Title, replaced text, replacement, the only problem. */
const rules: readonly (readonly [string, string, string, string])[] = [
  [
    'a repeated id',
    'id: 2',
    'id: 0',
    '5: nodes[2].id repeats 0, which nodes[0] already has: give every node its own id',
  ],
  [
    'a repeated host and port',
    thirdNode,
    '{ id: 2, host: 10.0.0.10, port: 5432, dataDirectory: /srv/other }',
    '5: nodes[2].host repeats 10.0.0.10:5432, which nodes[0] already has: give every node its own host and port',
  ],
  [
    'an application name that differs only in case',
    'id: 2',
    'applicationName: NODE1, id: 2',
    '5: nodes[2].applicationName repeats node1, which nodes[1] already has: give every node its own',
  ],
  [
    'one directory for two nodes of a host',
    thirdNode,
    '{ id: 2, host: 10.0.0.10, port: 5433, dataDirectory: /srv/main }',
    '5: nodes[2].dataDirectory repeats 10.0.0.10:/srv/main, which nodes[0] already has: two nodes on one host need',
  ],
  [
    'one directory for two nodes that ssh reaches on one host',
    secondNode,
    '{ id: 1, host: 10.0.0.11, dataDirectory: /srv/main, ssh: { host: 10.0.0.10 } }',
    '4: nodes[1].dataDirectory repeats 10.0.0.10:/srv/main',
  ],
  [
    'a data directory in that of another node of the host',
    thirdNode,
    '{ id: 2, host: 10.0.0.10, port: 5433, dataDirectory: /srv/main/n2 }',
    '5: nodes[2].dataDirectory and that of nodes[0] (/srv/main) lie one in the other: give every node a directory',
  ],
  [
    'a data directory around that of another node that ssh reaches on one host',
    secondNode,
    '{ id: 1, host: 10.0.0.11, dataDirectory: /srv, ssh: { host: 10.0.0.10 } }',
    '4: nodes[1].dataDirectory and that of nodes[0] (/srv/main) lie one in the other',
  ],
  [
    'a verification by nothing',
    '15/bin\n',
    '15/bin\n  sslMode: verify-full\n',
    '8: postgres.sslMode needs postgres.sslRootCertificate: without it nothing can be verified',
  ],
  [
    'a root certificate that nothing is verified by',
    '15/bin\n',
    '15/bin\n  sslRootCertificate: /etc/root.crt\n',
    '8: postgres.sslRootCertificate has no effect without sslMode require, verify-ca or verify-full',
  ],
  ['no pgpool', `pgpool:\n${firstPgpool}`, 'pgpool: []\n', '8: pgpool must list at least one pgpool'],
  [
    'a repeated pgpool name',
    firstPgpool,
    `${firstPgpool}  - { name: pgpool0, host: 127.0.0.2 }\n`,
    '10: pgpool[1].name repeats pgpool0, which pgpool[0] already has',
  ],
  [
    'one PCP port for two pgpools',
    firstPgpool,
    `${firstPgpool}  - { name: pgpool1, host: 127.0.0.1 }\n`,
    '10: pgpool[1].pcpPort repeats 127.0.0.1:9898, which pgpool[0] already has',
  ],
  [
    'as many synchronous standbys as nodes',
    last,
    `${last}policy: { synchronous: { standbys: 3 } }\n`,
    '10: policy.synchronous.standbys must be less than the number of nodes: at most 2, not 3',
  ],
  [
    'an empty follow list',
    last,
    `${last}policy: { follow: [] }\n`,
    '10: policy.follow must name at least one of repoint',
  ],
  [
    'a repeated follow',
    last,
    `${last}policy: { follow: [rebuild, rebuild] }\n`,
    '10: policy.follow must name at least one',
  ],
  [
    'a follow order',
    last,
    `${last}policy: { follow: [rebuild, repoint] }\n`,
    '10: policy.follow must name at least one',
  ],
  [
    'a relative fence command',
    last,
    `${last}policy:\n  fenceCommand:\n    - fence\n`,
    '12: policy.fenceCommand[0] must be the absolute path of a program',
  ],
  [
    'jobs in a data directory',
    last,
    `${last}paths: { jobs: /srv/main/jobs }\n`,
    '10: paths.jobs lies inside the data directory /srv/main: choose a directory outside',
  ],
  [
    'saved files in place of a data directory',
    last,
    `${last}paths: { savedConfiguration: /srv/main }\n`,
    '10: paths.savedConfiguration lies inside the data directory /srv/main',
  ],
];

test.each(rules)('%s is reported', (_title, from, to, expected) => {
  const problems = problemsOf(edit(clusterFile, from, to));
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(`shop.yaml:${expected}`);
});

test.each([
  ['a directory beside the data directory', `${last}paths: { jobs: /srv/main2 }\n`],
  ['one fewer synchronous standbys than nodes', `${last}policy: { synchronous: { standbys: 2 } }\n`],
  ['a follow list without its middle', `${last}policy: { follow: [repoint, rebuild] }\n`],
  ['an absolute fence command', `${last}policy: { fenceCommand: [/bin/fence, "--force"] }\n`],
  ['two pgpools', `${last}  - { name: pgpool1, host: 127.0.0.2 }\n`],
])('%s is accepted', (_title, replacement) => {
  expect(problemsOf(edit(clusterFile, last, replacement))).toEqual([]);
});

describe.each(['systemd', 'pg_ctlcluster'])('with service: %s', (service) => {
  const withDirectories = (first: string, second: string): string =>
    edit(
      edit(
        edit(clusterFile, '10.0.0.10, dataDirectory: /srv/main', `10.0.0.10, dataDirectory: ${first}`),
        secondNode,
        `{ id: 1, host: 10.0.0.11, dataDirectory: ${second}, ssh: { host: 10.0.0.10 } }`,
      ),
      '15/bin\n',
      `15/bin\n  service: ${service}\n`,
    );

  test.each([
    ['/pg/n0', '/pg/n1'],
    ['/pg/n0', '/var/lib/postgresql/15/main'],
    ['/var/lib/postgresql/15/main', '/pg/n1'],
    ['/disk1/postgresql/15/main', '/disk2/postgresql/15/main'],
  ])('%s and %s on one host are refused', (first, second) => {
    expect(problemsOf(withDirectories(first, second))).toEqual([
      `shop.yaml:4: nodes[1].dataDirectory shares 10.0.0.10 with nodes[0], and service: ${service} could take one for the other: both must end in /postgresql/<version>/<name>, and not in the same; or use service: commands`,
    ]);
  });

  test.each([
    ['/var/lib/postgresql/15/main', '/var/lib/postgresql/15/second'],
    ['/var/lib/postgresql/15/main', '/var/lib/postgresql/16/main'],
  ])('%s and %s on one host are accepted', (first, second) => {
    expect(problemsOf(withDirectories(first, second))).toEqual([]);
  });

  test('any directories are accepted on different hosts, and on one host with other services', () => {
    expect(problemsOf(edit(clusterFile, '15/bin\n', `15/bin\n  service: ${service}\n`))).toEqual([]);
    expect(problemsOf(withDirectories('/pg/n0', '/pg/n1').replace(service, 'pg_ctl'))).toEqual([]);
    expect(
      problemsOf(withDirectories('/pg/n0', '/pg/n00').replace(service, '{ commands: { start: a, stop: b } }')),
    ).toEqual([]);
  });
});

function withNodes(count: number): string {
  const nodes = Array.from(
    { length: count },
    (_, id) => `  - { id: ${id}, host: 10.0.0.${id}, dataDirectory: /srv }\n`,
  );
  return `cluster: shop\nnodes:\n${nodes.join('')}postgres: { bin: /usr/bin }\npgpool:\n${firstPgpool}`;
}

test.each([1, 17])('%d nodes are refused with the recommendation', (count) => {
  expect(problemsOf(withNodes(count))).toEqual([
    `shop.yaml:2: nodes must list 2 to 16 nodes (3 recommended), not ${count}`,
  ]);
});

test.each([2, 16])('%d nodes are accepted', (count) => {
  expect(problemsOf(withNodes(count))).toEqual([]);
});

test('rules between keys are checked beside problems of other keys, and never on a bad value', () => {
  const text = edit(edit(clusterFile, 'id: 2', 'id: 0'), '10.0.0.11', '"a b"');
  const problems = problemsOf(`${text}policy: { follow: [rebuild, 5, rebuild], synchronous: { standbys: x } }\n`);
  expect(problems.map((problem) => problem.slice(0, 45))).toEqual([
    expect.stringContaining('shop.yaml:4: nodes[1].host must be'),
    expect.stringContaining('shop.yaml:5: nodes[2].id repeats 0'),
    expect.stringContaining('shop.yaml:10: policy.follow[1] must be'),
    expect.stringContaining('shop.yaml:10: policy.synchronous.standbys'),
  ]);
});
