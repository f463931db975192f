// The cluster file's keys, types and defaults. Each leaf carries one expectation, worded to follow "must be".
// docs/configuration.md lists the same keys and defaults; test/configuration/documentation.test.ts compares the two.

import * as v from 'valibot';

/** Any part of the schema below. */
export type Schema = v.GenericSchema;

/**
 * A mapping. valibot's object() accepts a list as an empty mapping and fills in every default, so lists are refused
 * first.
 */
function section<Entries extends v.ObjectEntries>(entries: Entries) {
  const mapping = v.object(entries, 'a mapping of keys to values');
  type Mapping = typeof mapping;
  const noList = v.custom<v.InferOutput<Mapping>>(() => false, 'a mapping of keys to values, without a leading dash');
  return v.lazy((input): v.GenericSchema<v.InferInput<Mapping>, v.InferOutput<Mapping>> =>
    Array.isArray(input) ? noList : mapping,
  );
}

function text(expectation: string, accepts: (value: string) => boolean) {
  return v.pipe(v.string(expectation), v.check(accepts, expectation));
}

function wholeNumber(minimum: number, maximum: number, unit = '') {
  const range = maximum === Number.MAX_SAFE_INTEGER ? `${minimum} or more` : `${minimum} to ${maximum}`;
  const expectation = `a whole number${unit}, ${range}`;
  return v.pipe(
    v.number(expectation),
    v.check((value) => Number.isSafeInteger(value) && value >= minimum && value <= maximum, expectation),
  );
}

function oneOf<const Choices extends readonly string[]>(...choices: Choices) {
  return v.picklist(choices, `one of ${choices.join(', ')}`);
}

/**
 * Excludes characters that a shell, pgpool.conf or a comparison of real paths would read differently; pgpool keeps 255
 * bytes (MAX_PATH_LENGTH).
 */
function isPlainPath(path: string): boolean {
  const [start, ...parts] = path.split('/');
  return (
    start === '' &&
    parts.every((part) => part !== '' && part !== '.' && part !== '..') &&
    !/[\p{Cc}'"`\\]/u.test(path) &&
    new TextEncoder().encode(path).length <= 255
  );
}

const plain = 'without quotes, backslashes and control characters, and without empty, "." or ".." parts';

function absolutePath(what: string) {
  return text(`${what}: an absolute path other than /, ${plain}`, isPlainPath);
}

function homePath(what: string) {
  const accepts = (value: string) => isPlainPath(value.startsWith('~/') ? value.slice(1) : value);
  return text(`${what}: an absolute path or one that starts with ~/, ${plain}`, accepts);
}

/** A leading dash would be an option, a leading slash a socket directory: neither can be reached from another host. */
const hostPattern = /^(?:[A-Za-z0-9_][A-Za-z0-9._-]{0,252}|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]{1,39})$/;
const host = () =>
  text('a host name or an IP address, without blanks, quotes or slashes', (value) => hostPattern.test(value));
const port = () => wholeNumber(1, 65535);
const milliseconds = () => wholeNumber(1, 86_400_000, ' of milliseconds');
const rate = () => {
  const expectation = 'a whole number of kilobytes a second: 0 (unlimited), or 32 to 1048576';
  const accepts = (value: number) =>
    Number.isSafeInteger(value) && (value === 0 || (value >= 32 && value <= 1_048_576));
  return v.pipe(v.number(expectation), v.check(accepts, expectation));
};
const bytes = () => wholeNumber(0, Number.MAX_SAFE_INTEGER, ' of bytes');

function name(what: string, longest: number) {
  const pattern = new RegExp(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,${longest - 1}}$`);
  return text(`${what} (1 to ${longest} of A-Z a-z 0-9 . _ -)`, (value) => pattern.test(value));
}

const command = (what: string) =>
  text(`${what}: one line of shell`, (value) => value.trim() !== '' && !/\p{Cc}/u.test(value));

const node = section({
  id: wholeNumber(0, 127), // pgpool's MAX_NUM_BACKENDS is 128 (libpcp_ext.h)
  host: host(),
  port: v.optional(port(), 5432),
  dataDirectory: absolutePath("the node's data directory"),
  applicationName: v.optional(
    // The server keeps 63 bytes (NAMEDATALEN) of printable ASCII (pg_clean_ascii). In synchronous_standby_names * means
    // every standby.
    text('1 to 63 printable ASCII characters other than "*" alone', (value) => /^(?!\*$)[ -~]{1,63}$/.test(value)),
  ),
  priority: v.optional(wholeNumber(0, 1000), 100),
  ssh: v.optional(
    section({
      host: v.optional(host()),
      port: v.optional(port()),
      user: v.optional(name('an operating system user', 32)),
      identityFile: v.optional(homePath('a private key file')),
    }),
    {},
  ),
});

const services = v.picklist(
  ['pg_ctl', 'systemd', 'pg_ctlcluster'],
  'one of pg_ctl, systemd, pg_ctlcluster, or { commands: { start: ..., stop: ... } }',
);
const ownCommands = section({
  commands: section({ start: command('the start command'), stop: command('the stop command') }),
});
type Service = v.InferOutput<typeof services> | v.InferOutput<typeof ownCommands>;
const service = v.lazy((input): v.GenericSchema<Service> =>
  typeof input === 'object' && input !== null ? ownCommands : services,
);

const pgpool = section({
  name: name('a short name', 40),
  host: host(),
  port: v.optional(port(), 9999),
  pcpPort: v.optional(port(), 9898),
  pcpUser: v.optional(name('a user of pcp.conf', 63), 'pgpool'),
  passFile: v.optional(homePath('a PCP password file'), '~/.pcppass'),
});

const rung = v.picklist(
  ['repoint', 'rebuild'],
  'one of repoint, rebuild (rewind is not built yet: a rebuild takes its place)',
);

/** Keys of features that are not built: refused, because a key without effect would mislead. */
export const notBuilt: readonly string[] = [
  'policy.slots',
  'policy.slotRetentionBytes',
  'policy.unreachableFromPgpoolMs',
];

const policy = section({
  maximumLagBytes: v.optional(bytes(), 16_777_216),
  unreachableHost: v.optional(oneOf('proceed', 'park'), 'proceed'),
  fenceCommand: v.optional(
    v.array(
      text('a text without control characters', (value) => !/\p{Cc}/u.test(value)),
      'a list: a program and its arguments, or []',
    ),
    [],
  ),
  crashRecoveryMs: v.optional(milliseconds(), 3000),
  follow: v.optional(v.array(rung, 'a list from repoint, rebuild, such as [repoint, rebuild]'), ['repoint', 'rebuild']),
  baseBackup: v.optional(
    section({
      // 0, or what pg_basebackup --max-rate takes.
      maximumRateKilobytes: v.optional(rate(), 0),
      compression: v.optional(oneOf('none', 'gzip', 'lz4', 'zstd'), 'none'),
    }),
    {},
  ),
  replacedData: v.optional(oneOf('keep', 'remove', 'removeFirst'), 'keep'),
  divergedWrites: v.optional(oneOf('park', 'discard'), 'park'),
  rejoin: v.optional(oneOf('automatic', 'manual'), 'automatic'),
  synchronous: v.optional(
    section({
      standbys: v.optional(wholeNumber(0, 15), 0),
      whenNone: v.optional(oneOf('degrade', 'wait'), 'degrade'),
    }),
    {},
  ),
  minimumIntervalMs: v.optional(milliseconds(), 60_000),
  reattachMs: v.optional(wholeNumber(0, 86_400_000, ' of milliseconds'), 60_000),
  actOn: v.optional(oneOf('pgpool', 'watch'), 'pgpool'),
});

function isAddress(value: string): boolean {
  const match = /^(?:([^:[\]]+)|\[([^[\]]+)\]):([0-9]{1,5})$/.exec(value);
  const portNumber = Number(match?.[3]);
  return hostPattern.test(match?.[1] ?? match?.[2] ?? '') && portNumber >= 1 && portNumber <= 65535;
}

/** The whole file except unknown keys: valibot stops at the first of those, so load.ts looks for them itself. */
export const clusterFileSchema = section({
  cluster: text('1 to 40 of a-z 0-9 -', (value) => /^[a-z0-9-]{1,40}$/.test(value)),
  nodes: v.array(node, 'a list of 2 to 16 nodes (3 recommended)'),
  postgres: section({
    bin: absolutePath("the directory of PostgreSQL's programs on the nodes, such as /usr/lib/postgresql/15/bin"),
    user: v.optional(name('a PostgreSQL user', 63), 'postgres'),
    database: v.optional(name('a database', 63), 'postgres'),
    replicationUser: v.optional(name('a PostgreSQL user', 63), 'replicator'),
    passFile: v.optional(homePath('a PostgreSQL password file'), '~/.pgpass'),
    sslMode: v.optional(oneOf('disable', 'prefer', 'require', 'verify-ca', 'verify-full'), 'prefer'),
    sslRootCertificate: v.optional(absolutePath('a file with root certificates')),
    service: v.optional(service, 'pg_ctl'),
  }),
  ssh: v.optional(
    section({
      user: v.optional(name('an operating system user', 32), 'postgres'),
      port: v.optional(port(), 22),
      identityFile: v.optional(homePath('a private key file'), '~/.ssh/id_ed25519'),
      knownHostsFile: v.optional(homePath('a known_hosts file'), '~/.ssh/known_hosts'),
    }),
    {},
  ),
  paths: v.optional(
    section({
      savedConfiguration: v.optional(homePath('a directory on each node'), '~/pgpool-runbook/saved'),
      jobs: v.optional(homePath('a directory on each node'), '~/pgpool-runbook/jobs'),
    }),
    {},
  ),
  pgpool: v.array(pgpool, 'a list of at least one pgpool'),
  policy: v.optional(policy, {}),
  temporal: v.optional(
    section({
      address: v.optional(text('a host and a port, such as 127.0.0.1:7233', isAddress), '127.0.0.1:7233'),
      namespace: v.optional(name('a Temporal namespace', 200), 'default'),
      taskQueue: v.optional(name('a task queue', 200), 'pgpool-runbook'),
    }),
    {},
  ),
});

/** The file's contents after defaults; what depends on other keys (names, ssh per node) is still open. */
export type ClusterFile = v.InferOutput<typeof clusterFileSchema>;

/**
 * The keys below a section, or undefined for anything else. The test of the documentation uses these to walk the
 * schema.
 */
export function getEntries(schema: Schema): Readonly<Record<string, Schema>> | undefined {
  const inner = unwrap(schema);
  return 'entries' in inner ? (inner.entries as Record<string, Schema>) : undefined;
}

/** The schema of a list's items, or undefined for anything else. */
export function getItem(schema: Schema): Schema | undefined {
  const inner = unwrap(schema);
  return 'item' in inner ? (inner.item as Schema) : undefined;
}

/** The words after "must be". */
export function getExpectation(schema: Schema): string {
  const inner = unwrap(schema);
  return 'message' in inner ? String(inner.message) : 'a value';
}

function unwrap(schema: Schema): Schema {
  if ('wrapped' in schema) return unwrap(schema.wrapped as Schema);
  // An empty mapping stands for any mapping: only that form of a value has keys to look at.
  if ('getter' in schema) return unwrap((schema.getter as (input: unknown) => Schema)({}));
  return schema;
}
