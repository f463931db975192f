// synchronous_standby_names: reading it, writing it, and whether the last acknowledged commit can be lost (R + W > N).

import fc from 'fast-check';
import {
  formatSynchronousStandbyNames,
  hasLastCommit,
  parseSynchronousStandbyNames,
} from '../../../domain/plans/synchronous';
import { withRealNames } from '../../../domain/facts/application-name';
import { makeConfiguration, makeFacts } from '../builders';

describe('reading', () => {
  test.each([
    ['', 0, []],
    ['   ', 0, []],
    ['*', 1, ['*']],
    ['node1', 1, ['node1']],
    ['node1, node2', 1, ['node1', 'node2']],
    ['ANY 1 (node1, node2)', 1, ['node1', 'node2']],
    ['any 2 ( node1 ,node2,node3 )', 2, ['node1', 'node2', 'node3']],
    ['FIRST 2 (*)', 2, ['*']],
    ['First  1(node1)', 1, ['node1']],
    ['2 (node1, node2)', 2, ['node1', 'node2']],
    ['"Node 1", node2', 1, ['Node 1', 'node2']],
    ['ANY 1 ("a""b")', 1, ['a"b']],
    ['ANY 1 ("pg-0", "pg1.example.com")', 1, ['pg-0', 'pg1.example.com']],
    ['2 ("a, b", "c (d)", "1 (e)")', 2, ['a, b', 'c (d)', '1 (e)']],
    ['"a,b"', 1, ['a,b']],
  ])('%j: %s of %j', (text, required, names) => {
    expect(parseSynchronousStandbyNames(text)).toEqual({ required, names });
  });

  test.each([
    'ANY 1 ()',
    'ANY 1 (node1',
    'ANY (node1)',
    'ANY x (node1)',
    'ANY 0 (node1)',
    'node1,',
    ',',
    'node1 node2',
    '"node1',
    'ANY 1 (node1) node2',
    'ANY 1 ((node1))',
    '1 (node1), (node2)',
    '""',
  ])('%j is malformed', (text) => {
    expect(parseSynchronousStandbyNames(text)).toBeNull();
  });

  test('any text gives a set or null', () => {
    const word = fc.constantFrom('ANY ', 'FIRST ', '1', '(', ')', ',', '"', '""', 'node1', ' ', '*', '\n');
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(word).map((words) => words.join('')),
    );
    const property = fc.property(text, (value) => {
      const set = parseSynchronousStandbyNames(value);
      if (set) expect(set.required > 0).toBe(set.names.length > 0);
    });
    fc.assert(property, { numRuns: 2000 });
  });

  test('long hostile text is read at once', () => {
    const startedAt = performance.now();
    for (const unit of ['"', '""', '(', ' ', 'a ', ',', 'any ']) {
      parseSynchronousStandbyNames(unit.repeat(20_000));
      parseSynchronousStandbyNames(`ANY 1 (${unit.repeat(20_000)}`);
    }
    expect(performance.now() - startedAt).toBeLessThan(5000);
  });

  test('names in quotes can be written and read back', () => {
    const name = fc.string({ minLength: 1 });
    fc.assert(
      fc.property(fc.array(name, { minLength: 1 }), fc.integer({ min: 1, max: 99 }), (names, required) => {
        const quoted = names.map((text) => `"${text.replaceAll('"', '""')}"`).join(', ');
        expect(parseSynchronousStandbyNames(`ANY ${required} (${quoted})`)).toEqual({ required, names });
      }),
    );
  });
});

const asking = (inForce: string | null, reachable: readonly number[]) => ({
  inForce,
  copies: [],
  reachable,
  formerPrimary: 0,
});

/** Node 0 is the former primary; `count` nodes in all. */
function hasLast(setting: string | null, reachable: number[], policyStandbys = 0, count = 3): boolean {
  const policy = { synchronous: { standbys: policyStandbys, whenNone: 'degrade' as const } };
  return hasLastCommit(makeConfiguration({ policy }, count), asking(setting, reachable)) === null;
}

describe('R + W > N: do the standbys that were asked hold the last commit?', () => {
  test.each([
    ['asynchronous: nothing was promised', '', [], 3, true],
    ['the setting is unknown and the policy asynchronous', null, [1], 3, true],
    ['ANY 1 of 2, both asked', 'ANY 1 (node1, node2)', [1, 2], 3, true],
    ['ANY 1 of 2, one asked', 'ANY 1 (node1, node2)', [1], 3, false],
    ['ANY 2 of 2, one asked', 'ANY 2 (node1, node2)', [1], 3, true],
    ['ANY 2 of 3, two asked', 'ANY 2 (node1, node2, node3)', [1, 3], 4, true],
    ['ANY 2 of 3, one asked', 'ANY 2 (node1, node2, node3)', [3], 4, false],
    ['FIRST 1 of 2, the first asked: it may have been away', 'FIRST 1 (node1, node2)', [1], 3, false],
    ['a plain list means one of them', 'node1, node2', [2], 3, false],
    ['one named standby, and it is asked', 'node1', [1], 3, true],
    ['one named standby, and only another is asked', 'node1', [2], 3, false],
    ['* means every standby', '*', [1], 3, false],
    ['* with all asked', '*', [1, 2], 3, true],
    ['quoted names', '"node1", "node2"', [1], 3, false],
    ['PostgreSQL compares names without case', 'ANY 1 (NODE1, Node2)', [1], 3, false],
    ['names without case, both asked', 'ANY 1 (NODE1, Node2)', [1, 2], 3, true],
    ['a listed standby outside of the cluster file may hold it', 'ANY 1 (node1, node2, archive)', [1, 2], 3, false],
    ['only a standby outside of the cluster file holds it', 'archive', [1, 2], 3, false],
    ['the old primary lists itself, and never confirms to itself', 'ANY 1 (node0, node1, node2)', [1, 2], 3, true],
    ['a name that is listed twice counts once', 'ANY 1 (node1, node1)', [1], 3, true],
    ['a malformed setting is not taken for asynchronous', 'ANY 1 (node1', [1], 3, false],
    ['a malformed setting, everybody asked', 'ANY 1 (node1', [1, 2], 3, true],
    ['ANY 0 is malformed as well', 'ANY 0 (node1, node2)', [1], 3, false],
  ])('%s: %j, asked %j of %s nodes: %s', (_, setting, reachable, count, expected) => {
    expect(hasLast(setting, reachable, 0, count)).toBe(expected);
  });

  test.each([
    ['the policy asks for more than was in force', '', [1], 1, true],
    ['the policy asks for less than was in force', 'ANY 1 (node1, node2)', [1], 2, false],
    ['both are content', 'ANY 1 (node1, node2)', [1, 2], 1, true],
    ['the setting is unknown: the policy, all must confirm, one asked', null, [1], 2, true],
    ['the setting is unknown: the policy, one must confirm, one asked', null, [1], 1, false],
  ])('what was in force counts: %s', (_, setting, reachable, standbys, expected) => {
    expect(hasLast(setting, reachable, standbys)).toBe(expected);
  });

  test('asking one more standby never makes the answer worse', () => {
    const reachable = fc.uniqueArray(fc.integer({ min: 1, max: 3 }));
    const settings = fc.constantFrom('', '*', 'ANY 2 (node1, node2, node3)', 'node1, node3', 'ANY 1 (node2, other)');
    fc.assert(
      fc.property(reachable, fc.integer({ min: 1, max: 3 }), settings, (asked, more, setting) => {
        if (hasLast(setting, asked, 0, 4)) expect(hasLast(setting, [...new Set([...asked, more])], 0, 4)).toBe(true);
      }),
    );
  });
});

describe('names that the standbys really have', () => {
  const unnamed = { 0: { applicationName: null }, 1: { applicationName: null }, 2: { applicationName: null } };
  const named = (first: string | null, second: string | null, nodes = {}) => {
    const facts = makeFacts({ nodes: { 1: { applicationName: first }, 2: { applicationName: second } } });
    return withRealNames(makeConfiguration({ nodes }), facts.nodes);
  };
  const set = 'ANY 1 (shop_b, shop_c)';

  test.each([
    ['the file gives none', unnamed],
    ['the file says another one', {}],
  ])('count, not those of the cluster file: %s', (_, nodes) => {
    const configuration = named('shop_b', 'shop_c', nodes);
    expect(hasLastCommit(configuration, asking(set, [1, 2]))).toBeNull();
    expect(hasLastCommit(configuration, asking(set, [1]))).toMatch(/^1 of the 2 standbys/);
    const synchronous = { standbys: 1, whenNone: 'degrade' as const };
    const waiting = { ...configuration, policy: { ...configuration.policy, synchronous } };
    expect(formatSynchronousStandbyNames(waiting, [1, 2])).toBe('ANY 1 ("shop_b", "shop_c")');
  });

  test('one that does not answer is taken for nobody; the line names whom no node is known as', () => {
    const seen = hasLastCommit(named('shop_b', null, unnamed), asking(set, [1]));
    expect(seen).toMatch(/^1 of the 2 .* candidate; no node is known as shop_c: the last acknowledged commit/);
  });

  test('standbys that share a name are two', () => {
    const configuration = named('walreceiver', 'walreceiver', unnamed);
    expect(hasLastCommit(configuration, asking('walreceiver', [1, 2]))).toBeNull();
    expect(hasLastCommit(configuration, asking('walreceiver', [1]))).toMatch(/^1 of the 2 standbys/);
  });
});

describe('writing what the new primary waits for', () => {
  test.each([
    ['asynchronous', 0, 'degrade', [1, 2], ''],
    ['one of two', 1, 'degrade', [1, 2], 'ANY 1 ("node1", "node2")'],
    ['degrade: as many as stream', 2, 'degrade', [2], 'ANY 1 ("node2")'],
    ['degrade: nobody streams', 2, 'degrade', [], ''],
    ['wait: as many as asked for', 2, 'wait', [1, 2], 'ANY 2 ("node1", "node2")'],
    ['never more than are named, which would release nobody', 2, 'wait', [2], 'ANY 1 ("node2")'],
  ] as const)('%s', (_, standbys, whenNone, streaming, expected) => {
    const configuration = makeConfiguration({ policy: { synchronous: { standbys, whenNone } } });
    const text = formatSynchronousStandbyNames(configuration, streaming);
    expect(text).toBe(expected);
    expect(parseSynchronousStandbyNames(text)).not.toBeNull();
  });

  test.each(['pg-0', 'STANDBY.01', 'a "b"', "it's", 'back\\slash', 'x, y (z)', ' '])(
    'the name %j',
    (applicationName) => {
      const policy = { synchronous: { standbys: 1, whenNone: 'degrade' as const } };
      const configuration = makeConfiguration({ policy, nodes: { 1: { applicationName } } });
      const text = formatSynchronousStandbyNames(configuration, [1, 2]);
      expect(parseSynchronousStandbyNames(text)).toEqual({ required: 1, names: [applicationName, 'node2'] });
      expect(hasLastCommit(configuration, asking(text, [1, 2]))).toBeNull();
      expect(hasLastCommit(configuration, asking(text, [1]))).toMatch(/^1 of the 2 standbys/);
    },
  );
});
