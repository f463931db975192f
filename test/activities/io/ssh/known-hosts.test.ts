// known-hosts.ts as tables: which line decides about a key. ssh-keygen, where it can answer, is asked for a second opinion.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { checkHostKey, knownKeyTypes, readKeyType } from '../../../../activities/io/ssh/known-hosts';

/** A public key in wire form whose content is a single letter; good enough, because keys are compared, not used. */
function makeKey(type: string, letter: string): Buffer {
  const name = Buffer.from(type);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(name.length);
  const bodyLength = Buffer.from([0, 0, 0, 32]);
  return Buffer.concat([length, name, bodyLength, Buffer.alloc(32, letter)]);
}

const key = makeKey('ssh-ed25519', 'a');
const other = makeKey('ssh-ed25519', 'b');
const rsa = makeKey('ssh-rsa', 'r');
const mine = `ssh-ed25519 ${key.toString('base64')}`;
const theirs = `ssh-ed25519 ${other.toString('base64')}`;
const rsaKey = `ssh-rsa ${rsa.toString('base64')}`;
const directory = mkdtempSync(join(tmpdir(), 'known-hosts-'));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

test.each<[string, string, [host: string, port: number], ReturnType<typeof checkHostKey>]>([
  ['an empty file knows nobody', '', ['db1', 22], { verdict: 'unknown' }],
  ['a plain line', `db1 ${mine}`, ['db1', 22], { verdict: 'known', line: 1 }],
  ['a trailing comment is not read', `db1 ${mine} root@db1 # x`, ['db1', 22], { verdict: 'known', line: 1 }],
  [
    'tabs, blanks and a carriage return separate, too',
    ` \tdb1\t ${mine}\r`,
    ['db1', 22],
    { verdict: 'known', line: 1 },
  ],
  ['another host', `db2 ${mine}`, ['db1', 22], { verdict: 'unknown' }],
  ['names do not match as prefixes', `db ${mine}`, ['db1', 22], { verdict: 'unknown' }],
  ['upper case does not matter', `DB1 ${mine}`, ['Db1', 22], { verdict: 'known', line: 1 }],
  ['a list of names and addresses', `db1,10.0.0.1 ${mine}`, ['10.0.0.1', 22], { verdict: 'known', line: 1 }],
  [
    'comments and blank lines count as lines',
    `# db1 ${theirs}\n\ndb1 ${mine}`,
    ['db1', 22],
    { verdict: 'known', line: 3 },
  ],
  ['another key', `db1 ${theirs}`, ['db1', 22], { verdict: 'changed', line: 1 }],
  ['any of several lines may hold the key', `db1 ${theirs}\ndb1 ${mine}`, ['db1', 22], { verdict: 'known', line: 2 }],
  ['only a key of another type, as ssh judges', `db1 ${rsaKey}`, ['db1', 22], { verdict: 'changed', line: 1 }],
  [
    'the changed line of the same type is named',
    `db1 ${rsaKey}\ndb1 ${theirs}`,
    ['db1', 22],
    { verdict: 'changed', line: 2 },
  ],
  ['a port of its own', `[db1]:2222 ${mine}`, ['db1', 2222], { verdict: 'known', line: 1 }],
  ['another port', `[db1]:2222 ${mine}`, ['db1', 22], { verdict: 'unknown' }],
  ['a port falls back to the bare name', `db1 ${mine}`, ['db1', 2222], { verdict: 'known', line: 1 }],
  ['but the bare name cannot contradict', `db1 ${theirs}`, ['db1', 2222], { verdict: 'unknown' }],
  ['and does not overrule', `[db1]:2222 ${theirs}\ndb1 ${mine}`, ['db1', 2222], { verdict: 'changed', line: 1 }],
  ['an IPv6 address with a port', `[::1]:2222 ${mine}`, ['::1', 2222], { verdict: 'known', line: 1 }],
  ['a star', `*.example.org ${mine}`, ['a.b.example.org', 22], { verdict: 'known', line: 1 }],
  ['a star needs the rest', `*.example.org ${mine}`, ['example.org', 22], { verdict: 'unknown' }],
  ['several stars', `d*1*.or* ${mine}`, ['db1.x.org', 22], { verdict: 'known', line: 1 }],
  ['a question mark is one character', `db? ${mine}`, ['db1', 22], { verdict: 'known', line: 1 }],
  ['and not two', `db? ${mine}`, ['db12', 22], { verdict: 'unknown' }],
  ['a dot is a dot', `10.0.0.1 ${mine}`, ['10a0b0c1', 22], { verdict: 'unknown' }],
  ['a star in a bracketed name', `[*]:2222 ${mine}`, ['db1', 2222], { verdict: 'known', line: 1 }],
  ['negation refuses the line', `db*,!db1 ${mine}`, ['db1', 22], { verdict: 'unknown' }],
  ['wherever it stands', `!db1,db* ${mine}`, ['db1', 22], { verdict: 'unknown' }],
  ['and only that line', `!db1,db* ${theirs}\ndb1 ${mine}`, ['db1', 22], { verdict: 'known', line: 2 }],
  ['negation alone matches nobody', `!db2 ${mine}`, ['db1', 22], { verdict: 'unknown' }],
  ['revoked wins over known', `db1 ${mine}\n@revoked * ${mine}`, ['db1', 22], { verdict: 'revoked', line: 2 }],
  ['revoked for another host', `db1 ${mine}\n@revoked db2 ${mine}`, ['db1', 22], { verdict: 'known', line: 1 }],
  ['revoked by its bare name', `@revoked db1 ${mine}`, ['db1', 2222], { verdict: 'revoked', line: 1 }],
  ['another key revoked', `@revoked db1 ${theirs}`, ['db1', 22], { verdict: 'unknown' }],
  ['an authority is not a host key', `@cert-authority * ${mine}`, ['db1', 22], { verdict: 'unknown' }],
  [
    'an authority changes nothing',
    `@cert-authority * ${theirs}\ndb1 ${mine}`,
    ['db1', 22],
    { verdict: 'known', line: 2 },
  ],
  ['an unknown marker', `@trusted db1 ${mine}`, ['db1', 22], { verdict: 'unknown' }],
  ['a line without a key', `db1 ssh-ed25519`, ['db1', 22], { verdict: 'unknown' }],
  ['a key that is not base64', `db1 ssh-ed25519 AAAA!${theirs}`, ['db1', 22], { verdict: 'unknown' }],
  ['a type that is not the key’s', `db1 ssh-rsa ${key.toString('base64')}`, ['db1', 22], { verdict: 'unknown' }],
  [
    'a cut line does not hide the next',
    `db1 ssh-ed25519 AAAAC3Nz\ndb1 ${mine}`,
    ['db1', 22],
    { verdict: 'known', line: 2 },
  ],
])('%s', (_title, text, [host, port], expected) => {
  expect(checkHostKey(text, host, port, key)).toEqual(expected);
});

describe('hashed names, as ssh-keygen -H makes them', () => {
  function hash(text: string): string {
    const file = join(directory, 'hashed');
    writeFileSync(file, text);
    execFileSync('ssh-keygen', ['-H', '-f', file], { stdio: 'ignore' });
    return readFileSync(file, 'utf8');
  }

  test('match their host and port, and nothing else', () => {
    const text = hash(`db1 ${mine}\n[db1]:2222 ${theirs}\n`);
    expect(text).toMatch(/^\|1\|.*\n\|1\|/);
    expect(checkHostKey(text, 'db1', 22, key)).toEqual({ verdict: 'known', line: 1 });
    expect(checkHostKey(text, 'DB1', 22, key)).toEqual({ verdict: 'known', line: 1 });
    expect(checkHostKey(text, 'db1', 2222, key)).toEqual({ verdict: 'changed', line: 2 });
    expect(checkHostKey(text, 'db2', 22, key)).toEqual({ verdict: 'unknown' });
  });

  test('that are malformed match nobody', () => {
    for (const name of ['|', '|1|', '|1||', '|2|AAAA|AAAA', '|1|AAAA|AAAA|', '|1|!|!']) {
      expect(checkHostKey(`${name} ${mine}`, 'db1', 22, key)).toEqual({ verdict: 'unknown' });
    }
  });
});

describe('known key types', () => {
  const text = `db1 ${rsaKey}\ndb1 ${mine}\ndb1 ${theirs}\n[db1]:2222 ${rsaKey}\n@revoked db3 ${mine}\n`;

  test('are those of the host, each once, in file order', () => {
    expect(knownKeyTypes(text, 'db1', 22)).toEqual(['ssh-rsa', 'ssh-ed25519']);
    expect(knownKeyTypes(text, 'db2', 22)).toEqual([]);
  });

  test('are those of the port, or else those of the bare name', () => {
    expect(knownKeyTypes(text, 'db1', 2222)).toEqual(['ssh-rsa']);
    expect(knownKeyTypes(text, 'db1', 2200)).toEqual(['ssh-rsa', 'ssh-ed25519']);
  });

  test('do not count revoked keys', () => {
    expect(knownKeyTypes(text, 'db3', 22)).toEqual([]);
  });
});

test('a pattern finds the same hosts as ssh-keygen -F', () => {
  const names = ['db1', 'db12', 'a.b', '[db1]:2222', 'b'];
  const patterns = [
    '*',
    '?b*',
    'd*1',
    '*,!db1',
    '!*',
    'DB1',
    'db1,',
    ',db1',
    '[*]:2222',
    '**',
    '*1*2',
    'a?b',
    '[db1]:*',
    '!db1',
  ];
  const file = join(directory, 'patterns');
  for (const pattern of patterns) {
    writeFileSync(file, `${pattern} ${mine}\n`);
    for (const name of names) {
      const bracketed = /^\[(.*)\]:(\d+)$/.exec(name);
      const [host, port] = bracketed ? [bracketed[1] ?? '', Number(bracketed[2])] : [name, 22];
      // ssh-keygen does not fall back to the bare name; that is ssh's.
      const found = spawnSync('ssh-keygen', ['-F', name, '-f', file], { encoding: 'utf8' }).status === 0;
      const fallback = port !== 22 && spawnSync('ssh-keygen', ['-F', host, '-f', file]).status === 0;
      const { verdict } = checkHostKey(readFileSync(file, 'utf8'), host, port, key);
      expect({ pattern, name, verdict }).toEqual({ pattern, name, verdict: found || fallback ? 'known' : 'unknown' });
    }
  }
});

describe('any text', () => {
  const piece = fc.constantFrom(
    'db1',
    ' ',
    '\t',
    '\n',
    ',',
    '!',
    '*',
    '?',
    '|1|',
    '|',
    '@revoked ',
    '@',
    '#',
    '=',
    mine,
    theirs,
    '\0',
  );
  const anyText = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.array(piece).map((pieces) => pieces.join('')),
  );

  test('and any key never throws', () => {
    fc.assert(
      fc.property(anyText, fc.string(), fc.integer(), fc.uint8Array(), (text, host, port, bytes) => {
        const judged = checkHostKey(text, host, port, Buffer.from(bytes));
        expect(['known', 'unknown', 'changed', 'revoked']).toContain(judged.verdict);
        expect(knownKeyTypes(text, host, port)).toEqual(expect.any(Array));
        expect(typeof readKeyType(Buffer.from(bytes))).toBe('string');
      }),
    );
  });

  test('without the key’s base64 never knows the key', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        fc.pre(!text.includes(key.toString('base64')));
        expect(checkHostKey(text, 'db1', 22, key).verdict).not.toBe('known');
      }),
    );
  });

  test('a pattern of many stars takes no time', () => {
    const startedAt = performance.now();
    checkHostKey(`${'*a'.repeat(5000)} ${mine}`, `${'a'.repeat(4999)}b`, 22, key);
    expect(performance.now() - startedAt).toBeLessThan(1000);
  });
});
