// primary_conninfo as libpq reads it, and repointing that keeps what a site has added.

import fc from 'fast-check';
import { describeRenaming, formatConninfo, parseConninfo, repointConninfo } from '../../../domain/texts/conninfo';

test.each([
  ['', {}],
  ['  ', {}],
  ['host=a', { host: 'a' }],
  ["host='a b' port=5432", { host: 'a b', port: '5432' }],
  ["host = a  port= '5432'\n user =u ", { host: 'a', port: '5432', user: 'u' }],
  [String.raw`passfile='it\'s \\ here'`, { passfile: String.raw`it's \ here` }],
  [String.raw`user=a\ b`, { user: 'a b' }],
  ["user=o'brien host=a", { user: "o'brien", host: 'a' }],
  ["sslmode='' host=a", { sslmode: '', host: 'a' }],
  ['sslmode=', { sslmode: '' }],
  ['host=a host=b', { host: 'b' }],
  ['options=-csearch_path=x', { options: '-csearch_path=x' }],
])('%j', (text, expected) => {
  expect(Object.fromEntries(parseConninfo(text)!)).toEqual(expected);
});

test.each(["host='a", 'host', 'host=a port', '=a', "host='a'b", 'host=a\\', 'postgres://a/b', "a=   'b"])(
  '%j is malformed',
  (text) => {
    expect(parseConninfo(text)).toBeNull();
  },
);

test('any text gives a map or null', () => {
  const word = fc.constantFrom('host', '=', "'", '\\', ' ', 'a', '\n', 'port', '\u00a0');
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(word).map((words) => words.join('')),
  );
  const property = fc.property(text, (value) => {
    const values = parseConninfo(value);
    if (values) expect(parseConninfo(formatConninfo(values))).toEqual(values);
  });
  fc.assert(property, { numRuns: 2000 });
});

test('long hostile text is read at once', () => {
  const startedAt = performance.now();
  for (const unit of ["'", '\\', ' ', 'a', 'a=', "a='", "a= '", "a='' "]) {
    parseConninfo(unit.repeat(20_000));
    parseConninfo(`host='${unit.repeat(20_000)}`);
  }
  expect(performance.now() - startedAt).toBeLessThan(5000);
});

test('what is written can be read back', () => {
  const values = fc.array(fc.tuple(fc.stringMatching(/^[a-z_]{1,20}$/), fc.string({ unit: 'binary' })));
  fc.assert(
    fc.property(values, (entries) => {
      const map = new Map(entries);
      expect(parseConninfo(formatConninfo(map))).toEqual(map);
    }),
  );
});

describe('repointing', () => {
  const upstream = {
    host: '10.0.0.11',
    port: 5433,
    user: 'replicator',
    applicationName: 'node2',
    defaultName: 'node2',
    passFile: '~/.pgpass',
    tls: new Map(),
  };
  const pointed = "host='10.0.0.11' port='5433' application_name='node2'";

  test('only host, port and application_name change; the site’s own settings survive in their order', () => {
    const current =
      "user=walsender passfile='/p q' host=10.0.0.10 port=5432 sslmode=verify-full application_name=walreceiver";
    expect(repointConninfo(current, upstream)).toBe(
      "user='walsender' passfile='/p q' host='10.0.0.11' port='5433' sslmode='verify-full' application_name='node2'",
    );
  });

  test('hostaddr goes, because it would win over host', () => {
    expect(repointConninfo('user=u hostaddr=10.0.0.10', upstream)).toBe(`user='u' ${pointed}`);
  });

  test.each([
    ['an empty conninfo', ''],
    ['a malformed one', "host='a"],
  ])('%s gets the configured user', (_, current) => {
    expect(repointConninfo(current, upstream)).toBe(`user='replicator' ${pointed}`);
  });

  test.each([
    ['the node keeps its own name', 'user=u application_name=shop_c', 'shop_c'],
    ['one in quotes, too', String.raw`user=u application_name='it\'s (c)'`, String.raw`it\'s (c)`],
    ['it had none', 'user=u', 'node2'],
    ['an empty one is none', "user=u application_name=''", 'node2'],
    ['a fresh copy was never a standby', 'user=u application_name=base_backup_shop_c', 'shop_c'],
  ])('without a name in the cluster file: %s', (_, current, expected) => {
    const next = repointConninfo(current, { ...upstream, applicationName: null });
    expect(next).toContain(`application_name='${expected}'`);
    expect(repointConninfo(next, { ...upstream, applicationName: null })).toBe(next);
  });

  test.each([
    ['application_name=shop_c', 'application_name=shop_c', ''],
    ['application_name=shop_c', 'application_name=node2', '; its application_name is now node2, it was shop_c'],
    ['user=u', 'application_name=node2', '; its application_name is now node2, it had none'],
  ])('from %j to %j is told: %j', (former, next, told) => {
    expect(describeRenaming(former, next)).toBe(told);
  });

  test('sslmode of the cluster file is written only where there was no conninfo', () => {
    const tls = new Map([
      ['sslmode', 'verify-ca'],
      ['sslrootcert', '/etc/root.crt'],
    ]);
    expect(repointConninfo('', { ...upstream, tls })).toBe(
      `sslmode='verify-ca' sslrootcert='/etc/root.crt' user='replicator' ${pointed}`,
    );
    expect(repointConninfo('user=u', { ...upstream, tls })).toBe(`user='u' ${pointed}`);
  });

  test('a second time changes nothing', () => {
    const once = repointConninfo("user=u host='x y' channel_binding=require", upstream);
    expect(repointConninfo(once, upstream)).toBe(once);
  });

  test.each([
    ['an absolute path is written', 'user=u', '/etc/pg/pass', `user='u' passfile='/etc/pg/pass' ${pointed}`],
    ['a path under ~/ is left to libpq', 'user=u', '~/.pgpass', `user='u' ${pointed}`],
    ['the node’s own stays', 'user=u passfile=/own', '/etc/pg/pass', `user='u' passfile='/own' ${pointed}`],
  ])('password file: %s', (_, current, passFile, expected) => {
    expect(repointConninfo(current, { ...upstream, passFile })).toBe(expected);
  });
});
