// LSNs, positions, timeline histories and divergence; the arithmetic by properties, the rules by rows.

import fc from 'fast-check';
import {
  compareLsn,
  comparePosition,
  findFork,
  formatLsn,
  type Ancestry,
  type Branch,
  isDiverged,
  lagBytes,
  parseLsn,
  parseTimelineHistory,
  rangesAfter,
  timelineAt,
  type WalPosition,
} from '../../../domain/facts/wal';

const bytes = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const lsn = fc.oneof(bytes.map(formatLsn), fc.constantFrom('0/0', '0/FFFFFFFF', '1/0', 'FFFFFFFF/FFFFFFFF'));
const position: fc.Arbitrary<WalPosition> = fc.record({ timeline: fc.integer({ min: 1, max: 3 }), lsn });

test.each([
  ['0/0', 0n],
  ['0/FFFFFFFF', 0xffffffffn],
  ['1/0', 0x100000000n],
  ['16/B374D848', 0x16b374d848n],
  ['16/b374d848', 0x16b374d848n],
  ['FFFFFFFF/FFFFFFFF', 0xffffffffffffffffn],
])('%s is byte %s of WAL', (text, expected) => {
  expect(parseLsn(text)).toBe(expected);
});

test.each(['', '/', '0', '0/', '/0', '0/0/0', '123456789/0', '0/123456789', ' 0/0', '0/0\n', '0/G', '-1/0', '0x1/0'])(
  '%j is not an LSN',
  (text) => {
    expect(parseLsn(text)).toBeNull();
    expect(compareLsn(text, '0/0')).toBe(-1);
    expect(lagBytes(text, '0/0')).toBeNull();
    expect(lagBytes('0/0', text)).toBeNull();
  },
);

test('every position can be written and read back', () => {
  fc.assert(fc.property(bytes, (value) => parseLsn(formatLsn(value)) === value));
});

test('what was read is written as PostgreSQL prints it', () => {
  expect(formatLsn(parseLsn('0016/0374d848')!)).toBe('16/374D848');
});

test.each([-1n, 1n << 64n])('%s bytes cannot be an LSN', (value) => {
  expect(() => formatLsn(value)).toThrow(RangeError);
});

test('positions are totally ordered', () => {
  fc.assert(
    fc.property(position, position, position, (a, b, c) => {
      expect(Math.sign(comparePosition(a, b))).toBe(-Math.sign(comparePosition(b, a)) + 0);
      if (comparePosition(a, b) <= 0 && comparePosition(b, c) <= 0) {
        expect(comparePosition(a, c)).toBeLessThanOrEqual(0);
      }
      const isSame = a.timeline === b.timeline && parseLsn(a.lsn) === parseLsn(b.lsn);
      expect(comparePosition(a, b) === 0).toBe(isSame);
    }),
  );
});

test('the order of LSNs is the order of their bytes', () => {
  fc.assert(
    fc.property(bytes, bytes, (a, b) => {
      expect(compareLsn(formatLsn(a), formatLsn(b))).toBe(a < b ? -1 : a > b ? 1 : 0);
    }),
  );
});

test('the timeline outweighs the LSN', () => {
  expect(comparePosition({ timeline: 2, lsn: '0/1' }, { timeline: 1, lsn: 'FFFFFFFF/0' })).toBeGreaterThan(0);
});

test.each([
  ['0/100', '0/10', 0xf0],
  ['1/0', '0/FFFFFFFF', 1],
  ['0/10', '0/10', 0],
  ['0/10', '0/100', 0],
])('up to %s a node at %s lacks %s bytes', (ahead, behind, expected) => {
  expect(lagBytes(ahead, behind)).toBe(expected);
});

describe('timeline history files', () => {
  test('a file of two promotions, as PostgreSQL writes it', () => {
    const text = '1\t0/3000148\tno recovery target specified\n\n2\t0/5000060\tno recovery target specified\n';
    expect(parseTimelineHistory(text)).toEqual([
      { timeline: 1, endLsn: '0/3000148' },
      { timeline: 2, endLsn: '0/5000060' },
    ]);
  });

  test.each([
    ['nothing', ''],
    ['comments and blank lines', '# written by hand\n\n  \n'],
  ])('%s is a history without entries', (_, text) => {
    expect(parseTimelineHistory(text)).toEqual([]);
  });

  test.each([
    ['a line without an LSN', '1\n'],
    ['a timeline that is no number', 'x\t0/1\n'],
    ['a negative timeline', '-1\t0/1\n'],
    ['an LSN that is none', '1\t0-1\treason\n'],
    ['one bad line among good ones', '1\t0/1\n2\n'],
  ])('%s makes the whole file unreadable', (_, text) => {
    expect(parseTimelineHistory(text)).toBeNull();
  });

  test('windows line ends do not matter', () => {
    expect(parseTimelineHistory('1\t0/1\treason\r\n')).toEqual([{ timeline: 1, endLsn: '0/1' }]);
  });

  test('any text gives entries or null', () => {
    const word = fc.constantFrom('1', '2', '0/10', '\t', '\n', '#', ' ', 'x', '\u2028');
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(word).map((words) => words.join('')),
    );
    fc.assert(
      fc.property(text, (value) => {
        for (const end of parseTimelineHistory(value) ?? []) {
          expect(Number.isInteger(end.timeline)).toBe(true);
          expect(parseLsn(end.endLsn)).not.toBeNull();
        }
      }),
    );
  });
});

describe('diverged: WAL that the primary’s history does not contain', () => {
  const history = [
    { timeline: 1, endLsn: '0/300' },
    { timeline: 2, endLsn: '0/500' },
  ];
  const primary: Branch = { position: { timeline: 3, lsn: '0/900' }, history };
  test.each([
    ['on the primary’s timeline, behind', 3, '0/100', false],
    ['on the primary’s timeline, at its end', 3, '0/900', false],
    ['on the primary’s timeline, past its end as it was measured', 3, '0/901', false],
    ['on an ancestor, before its end', 1, '0/200', false],
    ['on an ancestor, exactly at its end', 1, '0/300', false],
    ['on an ancestor, one byte past its end', 1, '0/301', true],
    ['on the nearest ancestor, past the end of an older one', 2, '0/400', false],
    ['on a newer timeline', 4, '0/100', true],
  ])('%s', (_, timeline, at, expected) => {
    const own = { position: { timeline, lsn: at }, history: history.filter((end) => end.timeline < timeline) };
    expect(isDiverged(own, primary)).toBe(expected);
  });
  test('without a history every other timeline is a different branch', () => {
    const bare = (timeline: number): Branch => ({ position: { timeline, lsn: '0/1' }, history: [] });
    expect(isDiverged(bare(1), bare(2))).toBe(true);
  });
  test('two promotions that gave one number to two branches are told apart by their histories', () => {
    const twin = { position: { timeline: 3, lsn: '0/600' }, history: [history[0]!, { timeline: 2, endLsn: '0/501' }] };
    expect(isDiverged(twin, primary)).toBe(true);
    expect(isDiverged({ ...twin, history: [history[0]!] }, primary)).toBe(true);
  });
});

test.each([
  ['0/100', 1],
  ['0/300', 1],
  ['0/301', 2],
  ['0/501', 3],
])('the byte before %s is on timeline %d', (lsn, expected) => {
  const history = [
    { timeline: 1, endLsn: '0/300' },
    { timeline: 2, endLsn: '0/500' },
  ];
  expect(timelineAt({ timeline: 3, history }, lsn)).toBe(expected);
});

/** From "1:0/300 2:0/500 3": timelines with their ends, the last one open. */
function ancestryOf(text: string): Ancestry {
  const ends = text.split(' ').map((part) => part.split(':'));
  return {
    timeline: Number(ends.at(-1)![0]),
    history: ends.slice(0, -1).map(([timeline, endLsn]) => ({ timeline: Number(timeline), endLsn: endLsn! })),
  };
}

describe('fork: where a node’s branch leaves the primary’s', () => {
  test.each([
    ['the former primary and its successor', '1', '1:0/300 2', '1 0/300'],
    ['two failovers that it missed', '1', '1:0/300 2:0/500 3', '1 0/300'],
    ['a standby of the primary before', '1:0/300 2', '1:0/300 2:0/500 3', '2 0/500'],
    ['one branch', '1:0/300 2', '1:0/300 2', null],
    ['the first timeline', '1', '1', null],
    ['a node that was promoted itself, later', '1:0/500 2', '1:0/300 3', '1 0/300'],
    ['a node that was promoted itself, earlier', '1:0/200 2', '1:0/300 3', '1 0/200'],
    ['a node that was promoted itself, at the same place', '1:0/300 2', '1:0/300 3', '1 0/300'],
    ['two branches with one number', '1:0/300 2:0/400 3', '1:0/300 2:0/500 3', '2 0/400'],
    ['a node ahead in timelines', '1:0/300 2', '1', '1 0/300'],
    ['LSNs that are spelled differently', '1:0/0a0 2', '1:0/A0 2', null],
    ['a history file that is lost', '2', '1:0/300 2:0/500 3', '2 0/0'],
    ['a history file of the primary that is lost', '1:0/300 2', '3', '1 0/0'],
  ])('%s: %s leaves %s at %s', (_, own, primary, expected) => {
    const fork = findFork(ancestryOf(own), ancestryOf(primary));
    expect(fork && `${fork.timeline} ${fork.lsn}`).toBe(expected);
  });

  /**
   * Promotions of one ancestor: each leaves it, or another one's branch, at some point, and a number may be given
   * twice.
   */
  const ancestry: fc.Arbitrary<Ancestry> = fc
    .array(fc.record({ step: fc.integer({ min: 1, max: 2 }), bytes: fc.integer({ min: 1, max: 3 }) }), { maxLength: 3 })
    .map((promotions) => {
      let [timeline, end] = [1, 0];
      const history = promotions.map(({ step, bytes: more }) => {
        const entry = { timeline, endLsn: formatLsn(BigInt((end += more))) };
        timeline += step;
        return entry;
      });
      return { timeline, history };
    });

  test('it is the same from both sides, and one branch has none', () => {
    fc.assert(
      fc.property(ancestry, ancestry, (own, primary) => {
        expect(findFork(own, primary)).toEqual(findFork(primary, own));
        expect(findFork(own, own)).toBeNull();
      }),
    );
  });

  test('at the fork a node has not diverged, one byte further it has', () => {
    fc.assert(
      fc.property(ancestry, ancestry, (own, primary) => {
        const fork = findFork(own, primary);
        fc.pre(fork?.timeline === own.timeline);
        const at = (more: bigint): boolean => {
          const position = { ...fork, lsn: formatLsn(parseLsn(fork.lsn)! + more) };
          const source = { position: { timeline: primary.timeline, lsn: 'FF/0' }, history: primary.history };
          return isDiverged({ position, history: own.history }, source);
        };
        expect([at(0n), at(1n)]).toEqual([false, true]);
      }),
    );
  });

  test('the WAL after a fork is read timeline by timeline, without gaps', () => {
    const own = ancestryOf('1:0/300 2:0/500 4');
    expect(rangesAfter(own, { timeline: 1, lsn: '0/200' })).toEqual([
      { timeline: 1, fromLsn: '0/200', toLsn: '0/300' },
      { timeline: 2, fromLsn: '0/300', toLsn: '0/500' },
      { timeline: 4, fromLsn: '0/500', toLsn: null },
    ]);
    expect(rangesAfter(own, { timeline: 2, lsn: '0/500' })).toEqual([{ timeline: 4, fromLsn: '0/500', toLsn: null }]);
    expect(rangesAfter(ancestryOf('1'), { timeline: 1, lsn: '0/0' })).toEqual([
      { timeline: 1, fromLsn: '0/0', toLsn: null },
    ]);
  });
});
