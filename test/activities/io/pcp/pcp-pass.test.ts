// Password files: the rules of pgpool's own tools, and errors that say what to do.
import { chmod, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { findPassword, readPcpPassword } from '../../../../activities/io/pcp/pcp-pass';

const wanted = ['10.0.0.1', '9898', 'pgpool'];

describe('finding the line', () => {
  test.each([
    ['an exact line', '10.0.0.1:9898:pgpool:secret', 'secret'],
    ['wildcards', '*:*:*:secret', 'secret'],
    ['the first of several matches', '*:9898:pgpool:first\n10.0.0.1:9898:pgpool:second', 'first'],
    ['a later line when the first is for another port', '*:9999:*:other\n*:*:pgpool:mine\n', 'mine'],
    ['escaped colons and backslashes in the password', String.raw`*:*:*:a\:b\\c`, String.raw`a:b\c`],
    ['a password up to an unescaped colon', '*:*:*:secret:ignored', 'secret'],
    ['a line with a carriage return', '*:*:*:secret\r\n', 'secret'],
    ['an empty password', '*:*:*:', ''],
    ['a line after comments and blank lines', '# *:*:*:no\n\n*:*:*:yes', 'yes'],
  ])('%s', (_title, text, password) => {
    expect(findPassword(text, wanted)).toBe(password);
  });

  test.each([
    ['an empty file', ''],
    ['another host', '10.0.0.2:*:*:secret'],
    ['a host that only begins alike', '10.0.0.11:*:*:secret'],
    ['an escaped asterisk, which is no wildcard', String.raw`\*:*:*:secret`],
    ['a line without a password', '*:*:pgpool'],
    ['an asterisk within a word', '10.*:*:*:secret'],
  ])('%s does not match', (_title, text) => {
    expect(findPassword(text, wanted)).toBeUndefined();
  });

  test('escaped hosts and users match themselves', () => {
    expect(findPassword(String.raw`fe80\:\:1:9898:we\\ird:secret`, ['fe80::1', '9898', 'we\\ird'])).toBe('secret');
  });

  test('any host, user and password come back once escaped', () => {
    const word = fc.string({ unit: 'binary' }).filter((text) => !/[\r\n]/.test(text));
    const escape = (text: string): string => text.replace(/[\\:]/g, '\\$&').replace(/^\*$/, '\\*');
    const property = fc.property(word, word, word, (host, user, password) => {
      const line = [host, '9898', user, password].map(escape).join(':');
      expect(findPassword(`other:*:*:x\n${line}\n`, [host, '9898', user])).toBe(host === 'other' ? 'x' : password);
    });
    fc.assert(property);
  });
});

describe('reading the file', () => {
  let directory: string;
  let passFile: string;
  const read = (file: string): Promise<string> =>
    readPcpPassword({ host: '10.0.0.1', pcpPort: 9898, pcpUser: 'pgpool', passFile: file });

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'pcp-pass-'));
    passFile = join(directory, 'pcppass');
    await writeFile(passFile, '10.0.0.1:9898:pgpool:secret\n', { mode: 0o600 });
  });
  afterEach(() => rm(directory, { recursive: true }));

  test('a private file is read, through a link as well', async () => {
    expect(await read(passFile)).toBe('secret');
    await symlink(passFile, join(directory, 'link'));
    expect(await read(join(directory, 'link'))).toBe('secret');
  });

  test.each(['640', '604', '620', '610'])('mode %s is refused, with the command that mends it', async (mode) => {
    await chmod(passFile, parseInt(mode, 8));
    const failure = {
      kind: 'pass-file',
      isRetryable: false,
      message: expect.stringContaining(`chmod 600 ${passFile}`) as string,
    };
    await expect(read(passFile)).rejects.toMatchObject(failure);
  });

  test('a missing line is named, and no password with it', async () => {
    await writeFile(passFile, '10.0.0.2:9898:pgpool:secret\n');
    const failure = await read(passFile).catch(String);
    expect(failure).toContain('no line for 10.0.0.1:9898:pgpool;');
    expect(failure).not.toContain('secret');
  });

  test('a missing file and a directory are errors, not empty files', async () => {
    await expect(read(join(directory, 'none'))).rejects.toMatchObject({
      kind: 'pass-file',
      message: expect.stringMatching(/cannot read .*none .*ENOENT/) as string,
    });
    await expect(read(directory)).rejects.toMatchObject({
      message: expect.stringContaining('not a plain file') as string,
    });
  });

  test('a leading ~/ is the home directory', async () => {
    const name = `no-such-file-${process.pid}`;
    await expect(read(`~/${name}`)).rejects.toThrow(join(homedir(), name));
  });
});
