// The PCP codec against bytes recorded from pgpool 4.3.5, against the older and newer forms, and against anything at all.
import fc from 'fast-check';
import {
  decodeNodeCount,
  decodeNodeInfo,
  decodeSalt,
  decodeServerError,
  encode,
  expectTexts,
  isLoneNodeInfo,
  PcpFailure,
  type PcpMessage,
  readMessages,
} from '../../../../activities/io/pcp/protocol';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

// The bytes that pgpool 4.3.5 sent for one node info of a streaming standby, notice included; the password was a:b\c.
const recordedFields =
  '127.88.0.11\x0041743\x001\x000\x00up\x00536870911.750000\x003\x00standby\x000\x00streaming\x00async\x001795422011\x00';
const recorded = bytes(
  'm\x00\x00\x00\x08i{t\x0dr\x00\x00\x00\x15AuthenticationOK\x00' +
    'N\x00\x00\x00cSWARNING\x00CXX000\x00Munable to get password, password file descriptor is NULL\x00Fpool_passwd.c\x00L346\x00\x00' +
    `i\x00\x00\x00\x10ArraySize\x001\x00i\x00\x00\x00^NodeInfo\x00${recordedFields}i\x00\x00\x00\x14CommandComplete\x00`,
);

const recordedInfo = {
  host: '127.88.0.11',
  port: 41743,
  status: 'waiting',
  isQuarantined: false,
  pgStatus: 'up',
  weight: 536870911.75 / 2147483647,
  role: 'standby',
  pgRole: 'standby',
  replicationDelay: '0',
  replicationState: 'streaming',
  replicationSyncState: 'async',
  statusChangedAt: '2026-11-23T08:20:11.000Z',
};

/** A NodeInfo body in the form of pgpool 4.3, some of its fields (by position) replaced. */
function nodeInfo(changes: Record<number, string> = {}): Buffer {
  const fields = recordedFields.slice(0, -1).split('\0');
  for (const [position, value] of Object.entries(changes)) fields[Number(position)] = value;
  return bytes(['NodeInfo', ...fields, ''].join('\0'));
}

/** The form of pgpool 4.4 to 4.7 (inform_node_info there): delay_by_time stands before the delay. */
function newerNodeInfo(byTime: string, delay: string): Buffer {
  return nodeInfo({ 8: `${byTime}\0${delay}` });
}

/** The form of pgpool 4.2 (inform_node_info there): one message, no live status, no live role; no quarantine before 4.2.8. */
const olderFields = '127.0.0.1\x005433\x002\x001\x00536870911.750000\x002\x004096\x00\x00\x001795422011\x00';
const olderNodeInfo = bytes(`CommandComplete\0${olderFields}`);
const oldestNodeInfo = bytes(`CommandComplete\0${olderFields.replace('\x002\x001\x00', '\x002\x00')}`);
const olderInfo = {
  host: '127.0.0.1',
  port: 5433,
  status: 'up',
  isQuarantined: true,
  pgStatus: 'unknown',
  weight: 536870911.75 / 2147483647,
  role: 'primary',
  pgRole: 'unknown',
  replicationDelay: '4096',
  replicationState: '',
  replicationSyncState: '',
  statusChangedAt: '2026-11-23T08:20:11.000Z',
};

// eslint-disable-next-line @typescript-eslint/require-await -- a stream that never has to wait
async function* chunksOf(whole: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let from = 0; from < whole.length; from += size) yield whole.subarray(from, from + size);
}

/** Everything up to the failure that ends every stream. */
async function readAll(whole: Buffer, chunkSize: number): Promise<{ messages: PcpMessage[]; end: unknown }> {
  const messages: PcpMessage[] = [];
  try {
    for await (const message of readMessages(chunksOf(whole, chunkSize))) messages.push(message);
  } catch (end) {
    return { messages, end };
  }
  throw new Error('a stream of messages ended without a failure');
}

const kindOf = (action: () => unknown): unknown => {
  try {
    return { value: action() };
  } catch (error) {
    if (!(error instanceof PcpFailure)) throw error;
    return error.kind;
  }
};

describe('reading messages', () => {
  test('a recorded conversation gives the same messages in chunks of every size', async () => {
    for (let size = 1; size <= recorded.length; size++) {
      const { messages, end } = await readAll(recorded, size);
      expect(messages.map((message) => message.type).join('')).toBe('mrNiii');
      expect(decodeNodeInfo(messages[4]!.body)).toEqual(recordedInfo);
      expect(end).toMatchObject({ kind: 'lost', isRetryable: true });
    }
  });

  test('a conversation cut after any byte is lost, and no message is made up', async () => {
    const whole = await readAll(recorded, recorded.length);
    for (let length = 0; length < recorded.length; length++) {
      const { messages, end } = await readAll(recorded.subarray(0, length), 7);
      expect(end).toMatchObject({ kind: 'lost' });
      expect(messages.length).toBeLessThan(whole.messages.length);
      expect(messages).toEqual(whole.messages.slice(0, messages.length));
    }
  });

  test.each([
    ['a length that does not even count itself', 'm\x00\x00\x00\x03'],
    ['a length over 1 MiB', 'i\x00\x10\x00\x01'],
    ['a length that would be negative for pgpool', 'i\xff\xff\xff\xff'],
    ['an HTTP server', 'HTTP/1.1 400 Bad Request\r\n'],
    ['a type that PCP has, but not as an answer to us', 'w\x00\x00\x00\x04'],
  ])('%s is a protocol failure at once, however it arrives', async (_title, text) => {
    for (const size of [1, 100]) {
      const { messages, end } = await readAll(Buffer.concat([recorded, bytes(text)]), size);
      expect(end).toMatchObject({ kind: 'protocol' });
      expect(messages).toHaveLength(6);
    }
  });

  test('a message of exactly 1 MiB is still awaited', async () => {
    expect(await readAll(bytes('i\x00\x10\x00\x00'), 5)).toMatchObject({ end: { kind: 'lost' } });
  });
});

describe('decoding', () => {
  test.each([
    ['bytes of delay are kept as they are', newerNodeInfo('0', '1048576'), '1048576'],
    ['microseconds of delay become seconds', newerNodeInfo('1', '250000'), '0.25 s'],
  ])('in the 13 fields of newer pgpools %s', (_title, body, replicationDelay) => {
    expect(decodeNodeInfo(body)).toEqual({ ...recordedInfo, replicationDelay });
  });

  test('the one message of pgpool 4.2 is a node whose live status and role are unknown', () => {
    expect(decodeNodeInfo(olderNodeInfo)).toEqual(olderInfo);
    expect(decodeNodeInfo(oldestNodeInfo)).toEqual({ ...olderInfo, isQuarantined: false });
    expect([olderNodeInfo, oldestNodeInfo].map(isLoneNodeInfo)).toEqual([true, true]);
    expect([bytes('ArraySize\x001\0'), nodeInfo(), Buffer.alloc(0)].some(isLoneNodeInfo)).toBe(false);
  });

  test('the 11 fields of pgpool 4.3.0 are those of 4.3.1 without the quarantine', () => {
    const body = bytes(nodeInfo().toString('latin1').replace('\x001\x000\x00up', '\x001\x00up'));
    expect(decodeNodeInfo(body)).toEqual(recordedInfo);
  });

  test('every status and role has its name, and nan weights count as none', () => {
    const statuses = ['0', '1', '2', '3'].map((status) => decodeNodeInfo(nodeInfo({ 2: status })).status);
    expect(statuses).toEqual(['unused', 'waiting', 'up', 'down']);
    const roles = ['0', '1', '2', '3'].map((role) => decodeNodeInfo(nodeInfo({ 6: role })).role);
    expect(roles).toEqual(['main', 'replica', 'primary', 'standby']);
    expect(decodeNodeInfo(nodeInfo({ 3: '1' })).isQuarantined).toBe(true);
    expect(decodeNodeInfo(nodeInfo({ 5: '-nan' })).weight).toBe(0);
  });

  test.each([
    ['an unknown status', nodeInfo({ 2: '4' })],
    ['an unknown role', nodeInfo({ 6: '9' })],
    ['a quarantine that is neither 0 nor 1', nodeInfo({ 3: '2' })],
    ['a port that is no number', nodeInfo({ 1: '5432x' })],
    ['an empty port', nodeInfo({ 1: '' })],
    ['a delay that is no number', nodeInfo({ 8: 'much' })],
    ['a weight in hexadecimal', nodeInfo({ 5: '0x10' })],
    ['a time beyond any calendar', nodeInfo({ 11: '999999999999999' })],
    ['8 fields', bytes(oldestNodeInfo.toString('latin1').replace('5433\0', ''))],
    ['the 10 fields of 4.2 under the code of 4.3', bytes(`NodeInfo\0${olderFields}`)],
    ['the 12 fields of 4.3 under the code of 4.2', bytes(`CommandComplete\0${recordedFields}`)],
    ['a completion without any field', bytes('CommandComplete\0')],
    [
      'a role of 4.2 that is no number',
      bytes(olderNodeInfo.toString('latin1').replace('0\x002\x00', '0\x00primary\x00')),
    ],
    ['14 fields', newerNodeInfo('0', '1\x002')],
    ['delay_by_time that is neither 0 nor 1', newerNodeInfo('2', '5')],
    ['a text without its end', nodeInfo().subarray(0, -1)],
    ['another code', bytes('ArraySize\x001\0')],
    ['nothing', Buffer.alloc(0)],
  ])('a node info with %s is a protocol failure', (_title, body) => {
    expect(kindOf(() => decodeNodeInfo(body))).toBe('protocol');
  });

  test('counts, salts and completions are read strictly', () => {
    expect(decodeNodeCount(bytes('CommandComplete\x003\0'))).toBe(3);
    for (const body of ['CommandComplete\0', 'CommandComplete\x00-1\0', 'CommandComplete\x003\x003\0', '3\0']) {
      expect(kindOf(() => decodeNodeCount(bytes(body)))).toBe('protocol');
    }
    expect(kindOf(() => decodeSalt(bytes('abcde')))).toBe('protocol');
    expect(kindOf(() => decodeSalt(bytes('abc')))).toBe('protocol');
    expect(
      kindOf(() => {
        expectTexts(bytes('CommandIncomplete\0'), 'CommandComplete');
      }),
    ).toBe('protocol');
  });

  test('a recorded server error becomes one line', () => {
    const error = bytes(
      'SERROR\x00CXX000\x00Mcould not process promote request\x00Dnode id 7 is not valid\x00Fpcp_worker.c\x00L1295\x00\x00',
    );
    expect(decodeServerError(error)).toBe('ERROR: could not process promote request; node id 7 is not valid');
    expect(decodeServerError(bytes(`Mtwo\nlines\x1b[31m${'x'.repeat(1000)}\0\0`))).toMatch(
      /^ERROR: two lines \[31mx{1,290}$/,
    );
    expect(kindOf(() => decodeServerError(bytes('SERROR\0\0')))).toBe('protocol');
  });
});

describe('encoding', () => {
  test('requests are the bytes that pgpool 4.3.5 has accepted', () => {
    const salt = bytes('i{t\x0d');
    expect(encode.saltRequest()).toEqual(bytes('M\x00\x00\x00\x04'));
    expect(encode.login('pgpool', 'a:b\\c', salt)).toEqual(
      bytes('R\x00\x00\x00,pgpool\x005a5a53bc64c237eeced7e25e4a60fabd\0'),
    );
    expect(encode.nodeCountRequest()).toEqual(bytes('L\x00\x00\x00\x04'));
    expect(encode.nodeInfoRequest(1)).toEqual(bytes('I\x00\x00\x00\x061\0'));
    expect(encode.settingsRequest()).toEqual(bytes('B\x00\x00\x00\x04'));
    expect(encode.attach(10)).toEqual(bytes('C\x00\x00\x00\x0710\0'));
    expect(encode.detach(1)).toEqual(bytes('D\x00\x00\x00\x061\0'));
    expect(encode.promote(7)).toEqual(bytes('J\x00\x00\x00\x087 \0n'));
    expect(encode.goodbye()).toEqual(bytes('X\x00\x00\x00\x04'));
  });

  test.each([-1, 0.5, NaN, Infinity])('%d is no node id: -1 would mean all nodes', (node) => {
    expect(() => encode.nodeInfoRequest(node)).toThrow(RangeError);
  });
});

describe('whatever the bytes', () => {
  const decoders = [decodeNodeCount, decodeNodeInfo, decodeSalt, decodeServerError];
  const arbitraryBytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));
  const damaged = fc
    .array(fc.tuple(fc.nat(recorded.length - 1), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 6 })
    .map((edits) => {
      const copy = Buffer.from(recorded);
      for (const [position, value] of edits) copy[position] = value;
      return copy;
    });

  test('a stream ends in a PcpFailure that does not depend on the chunks, and bodies give values or PcpFailures', async () => {
    const property = fc.asyncProperty(
      fc.oneof(arbitraryBytes, damaged),
      fc.integer({ min: 1, max: 64 }),
      async (whole, size) => {
        const { messages, end } = await readAll(whole, size);
        expect(end).toBeInstanceOf(PcpFailure);
        const atOnce = await readAll(whole, Math.max(1, whole.length));
        expect({ messages, end: String(end) }).toEqual({ messages: atOnce.messages, end: String(atOnce.end) });
        for (const { body } of messages) for (const decode of decoders) kindOf(() => decode(body));
      },
    );
    await fc.assert(property, { numRuns: 500 });
  });

  test('fields of a node info give a value or a protocol failure', () => {
    const anyField = fc.oneof(
      fc.string(),
      fc.constantFrom('0', '1', '2', '3', '-1', 'nan', '1e9', ' 1', '99999999999'),
    );
    const property = fc.property(fc.nat(11), anyField, (position, value) => {
      expect([
        'protocol',
        { value: expect.objectContaining({ host: expect.any(String) as unknown }) as unknown },
      ]).toContainEqual(kindOf(() => decodeNodeInfo(nodeInfo({ [position]: value }))));
    });
    fc.assert(property, { numRuns: 500 });
  });
});
