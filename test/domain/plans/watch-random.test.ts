// The watch on worlds drawn by chance: one that does not change is told of once, and nothing is told too often.

import fc from 'fast-check';
import { makeRecord } from './record-stories';
import { primarySays, recordOf0, shows, standbySays, watchFor } from './watch-world';

const stray = primarySays({ position: { timeline: 2, lsn: '0/6000000' } });
const alone = { receiver: null };

describe('whatever the world is', () => {
  const words = fc.constantFrom(null, primarySays(), stray, standbySays(1), standbySays(2, alone));
  const shown = fc.constantFrom(null, shows(0), shows(1), shows(null, 0), shows(0, 2));
  const worlds = fc.record({
    nodes: fc.record({ 0: words, 1: words, 2: words }),
    pgpools: fc.record({ pgpool0: shown, pgpool1: shown }),
  });
  const records = fc.constantFrom(null, recordOf0, makeRecord());

  test('one that does not change is no further event after its last has lasted', () => {
    fc.assert(
      fc.property(worlds, worlds, records, (before, after, record) => {
        const { told } = watchFor(200, (second) => (second < 5 ? before : after), { record });
        const firsts = told.filter(
          ({ key, since }, index) => told.findIndex((other) => other.key === key && other.since === since) === index,
        );
        expect(firsts.filter(({ second }) => second > 5 + 60 + 10)).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });

  test('nothing is told more often than once a minute', () => {
    fc.assert(
      fc.property(
        fc.array(worlds, { minLength: 2, maxLength: 8 }),
        fc.integer({ min: 1, max: 40 }),
        (all, everySeconds) => {
          const { told } = watchFor(200, (second) => all[Math.floor(second / everySeconds) % all.length]!);
          for (const [index, { key, second }] of told.entries()) {
            const next = told.slice(index + 1).find((entry) => entry.key === key);
            if (next) expect(next.second - second).toBeGreaterThanOrEqual(60);
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});
