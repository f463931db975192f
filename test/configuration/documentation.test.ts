// docs/configuration.md against the schema: the same keys, the same defaults, an example that loads.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseClusterFile } from '../../configuration/load';
import { clusterFileSchema, getEntries, getItem, type Schema } from '../../configuration/schema';
import { formatHookConf } from '../../domain/texts/pgpool-conf';

const page = readFileSync(join(__dirname, '..', '..', 'docs', 'configuration.md'), 'utf8');

/** Defaults that the schema cannot show, because they are other keys. */
const derived: Readonly<Record<string, string>> = {
  'nodes[].applicationName': 'its own, else `node<id>`',
  'postgres.sslRootCertificate': 'none',
  'nodes[].ssh.host': '`nodes[].host`',
  'nodes[].ssh.port': '`ssh.port`',
  'nodes[].ssh.user': '`ssh.user`',
  'nodes[].ssh.identityFile': '`ssh.identityFile`',
};

/** Every leaf of the schema as [key, default as the page prints it]. */
function listKeys(schema: Schema, key: string): [string, string][] {
  const isSection = (part: Schema) => getEntries(part) !== undefined;
  const item = getItem(schema);
  if (item && isSection(item)) return listKeys(item, `${key}[]`);
  const entries = getEntries(schema);
  const below = Object.entries(entries ?? {}).flatMap(([name, child]) =>
    listKeys(child, key ? `${key}.${name}` : name),
  );
  // A section's own default is {}, or its preset where a text may stand in its place.
  const hasOwnRow = !entries || ('default' in schema && typeof schema.default === 'string');
  return hasOwnRow ? [[key, formatDefault(schema, key)], ...below] : below;
}

function formatDefault(schema: Schema, key: string): string {
  if (!('wrapped' in schema)) return 'required';
  const value = (schema as { default?: string | number | string[] }).default;
  if (value === undefined) return derived[key] ?? 'not in the list of derived defaults';
  return `\`${Array.isArray(value) ? `[${value.join(', ')}]` : String(value)}\``;
}

/** Rows of the tables under a heading, as [key, cells]. */
function readTable(from: string, to: string): [string, string[]][] {
  const section = page.slice(page.indexOf(from), page.indexOf(to));
  return [...section.matchAll(/^\| `([^`]+)` +\|(.+)\|$/gm)].map((row) => [
    row[1]!,
    row[2]!.split(' |').map((cell) => cell.trim()),
  ]);
}

const documented = readTable('### Cluster and nodes', '### What `~/` means');

test('every key of the schema is documented with its default, in the same order and nothing else', () => {
  const keys = listKeys(clusterFileSchema, '');
  expect(keys.length).toBeGreaterThan(45);
  expect(documented.map(([key, cells]) => [key, cells[1]])).toEqual(keys);
});

test('every key has a type and a meaning', () => {
  for (const [key, [type, , meaning]] of documented) {
    expect([key, type, (meaning ?? '').length > 10]).toEqual([key, expect.stringMatching(/.../), true]);
  }
});

test('the example is a valid cluster file', () => {
  const example = /```yaml\n(.+?)```/s.exec(page)?.[1] ?? '';
  expect(parseClusterFile(example, 'example').cluster).toBe('shop');
});

test('every key of hook.conf is documented', () => {
  const example = /```yaml\n(.+?)```/s.exec(page)?.[1] ?? '';
  const options = { temporalHttp: 'http://127.0.0.1:7243', spool: '/spool' };
  const written = [...formatHookConf(parseClusterFile(example, 'example'), options).matchAll(/^([A-Z_]+)=/gm)];
  const keys = readTable('## hook.conf', '## Wiring').map(([key]) => key);
  expect(keys).toEqual([...written.map((match) => match[1]), 'CURL_OPTIONS_FILE']);
});
