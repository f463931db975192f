// Events come from any HTTP client: a ClusterEvent, or one clear error on one line; never an exception.

import fc from 'fast-check';
import { parseEvent } from '../../../domain/facts/event';
import { deepFreeze } from '../builders';

const event = deepFreeze({
  eventId: '20260101T000000.123-42',
  kind: 'failover',
  node: 0,
  mainNode: 1,
  oldPrimary: 0,
  at: '2026-01-01T00:00:00.123Z',
});

describe('events that are understood', () => {
  test.each([
    ['pgpool names the primary', {}],
    ['%d = %m: the follow hook of a cluster without a live node', { kind: 'follow', node: 1, mainNode: 1 }],
    ['%m and %P are -1, which the hook sends as null', { mainNode: null, oldPrimary: null }],
    ['no node at all', { node: null, mainNode: null, oldPrimary: null }],
    ['a returned node', { kind: 'returned', node: 2 }],
    ['a node that a person wants back', { kind: 'rejoin', mainNode: null, oldPrimary: null }],
    ['the largest node id', { node: 127 }],
    ['a time without a fraction', { at: '2026-01-01T00:00:00Z' }],
    ['a time with an offset', { at: '2026-01-01T01:00:00.000+01:00' }],
    ['what the watch has seen', { kind: 'returned', seen: 'node 2 accepts writes beside node 1' }],
    ['the longest event id', { eventId: 'a'.repeat(128) }],
  ])('%s', (_, differences) => {
    expect(parseEvent({ ...event, ...differences })).toEqual({ event: { ...event, ...differences } });
  });

  test('what was seen is kept on one short line', () => {
    const seen = `one\ntwo\u2028${'x'.repeat(500)}`;
    expect(parseEvent({ ...event, seen })).toEqual({ event: { ...event, seen: `one two ${'x'.repeat(392)}` } });
  });

  test('unknown fields are dropped', () => {
    expect(parseEvent({ ...event, host: '$(reboot)' })).toEqual({ event });
  });
});

describe('events that are not, and what is said', () => {
  const idError = 'event.eventId must be 1-128 characters of A-Z a-z 0-9 . _ -';
  const kinds = 'event.kind must be failover, follow, returned or rejoin, not';
  const ids = 'must be null or 0-127, not';
  test.each([
    ['an event id with a slash', { eventId: 'a/b' }, idError],
    ['an event id that is too long', { eventId: 'a'.repeat(129) }, idError],
    ['an event id with a line end', { eventId: 'a\n' }, idError],
    ['no event id', { eventId: undefined }, idError],
    ['an unknown kind', { kind: 'promote' }, `${kinds} "promote"`],
    ['no kind', { kind: undefined }, `${kinds} missing`],
    ['a kind with line ends', { kind: 'a\nb\u2028c\u0085d' }, `${kinds} "a\\nb?c?d"`],
    ['pgpool’s -1, which the hook must have turned into null', { oldPrimary: -1 }, `event.oldPrimary ${ids} -1`],
    ['a node beyond pgpool’s largest', { node: 128 }, `event.node ${ids} 128`],
    ['a node as text', { node: ' 1' }, `event.node ${ids} " 1"`],
    ['half a node', { mainNode: 0.5 }, `event.mainNode ${ids} 0.5`],
    ['minus zero', { node: -0 }, `event.node ${ids} 0`],
    ['words that are none', { seen: 3 }, 'event.seen must be text, not 3'],
    ['no node field', { node: undefined }, `event.node ${ids} missing`],
    ['a time that is none', { at: 'yesterday' }, 'event.at must be an ISO time, not "yesterday"'],
    [
      'a time in words',
      { at: '1 Jan 2026 (any\ntext)' },
      'event.at must be an ISO time, not "1 Jan 2026 (any\\ntext)"',
    ],
    ['a thirteenth month', { at: '2026-13-01T00:00:00Z' }, 'event.at must be an ISO time, not "2026-13-01T00:00:00Z"'],
    ['a time as a number', { at: 5 }, 'event.at must be an ISO time, not 5'],
  ])('%s', (_, differences, error) => {
    expect(parseEvent({ ...event, ...differences })).toEqual({ error });
  });

  test.each([[null], [undefined], ['text'], [7], [[]], [[event]], [true]])('%j is not an object', (value) => {
    expect(parseEvent(value)).toEqual({ error: 'event is not an object' });
  });
});

const nodeId = fc.option(fc.integer({ min: 0, max: 127 }));
const events = fc.record({
  eventId: fc.stringMatching(/^[A-Za-z0-9._-]{1,128}$/),
  kind: fc.constantFrom('failover', 'follow', 'returned', 'rejoin'),
  node: nodeId,
  mainNode: nodeId,
  oldPrimary: nodeId,
  at: fc.date({ min: new Date(0), max: new Date('9999-12-31'), noInvalidDate: true }).map((date) => date.toISOString()),
});

function expectEventOrError(value: unknown): void {
  const parsed = parseEvent(value);
  // eslint-disable-next-line no-control-regex -- control characters are what must not come through
  if ('error' in parsed) expect(parsed.error).toMatch(/^event[^\u0000-\u001f\u007f-\u009f\u2028\u2029]{1,160}$/);
  else expect(parseEvent(parsed.event)).toEqual(parsed);
}

describe('whatever comes', () => {
  test('every event survives the wire', () => {
    fc.assert(
      fc.property(events, (value) => {
        expect(parseEvent(JSON.parse(JSON.stringify(value)))).toEqual({ event: value });
      }),
    );
  });

  test('any JSON value gives an event or one clear line', () => {
    fc.assert(fc.property(fc.jsonValue({ noUnicodeString: false }), expectEventOrError));
  });

  test('an event with any JSON value in one field gives an event or one clear line', () => {
    const name = fc.constantFrom(...Object.keys(event));
    const property = fc.property(events, name, fc.jsonValue({ noUnicodeString: false }), (value, key, wrong) => {
      expectEventOrError({ ...value, [key]: wrong });
    });
    fc.assert(property, { numRuns: 1000 });
  });

  test('any bytes, read as text or as JSON, give an event or one clear line', () => {
    const property = fc.property(fc.uint8Array(), (raw) => {
      expectEventOrError(raw);
      const text = Buffer.from(raw).toString('utf8');
      expectEventOrError(text);
      expectEventOrError({ ...event, kind: text, at: text });
      expectEventOrError({ ...event, node: text });
      expectEventOrError({ ...event, eventId: text });
    });
    fc.assert(property, { numRuns: 1000 });
  });
});
