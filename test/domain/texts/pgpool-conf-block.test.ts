// The block in a site's pgpool.conf: one, wherever it is, and everything else as it was.

import { placeBlock, readSiteSettings } from '../../../domain/texts/pgpool-conf-block';

const block = (text: string): string => `# BEGIN pgpool-runbook: cluster shop\n${text}\n# END pgpool-runbook\n`;
const own = '# mine\nport = 9999\nbackend_weight0 = 3\n';

test('is added at the end, and generating again changes nothing', () => {
  const added = placeBlock(own, block('auto_failback = off'));
  expect(added).toEqual({ text: `${own}\n${block('auto_failback = off')}`, change: 'added', warnings: [] });
  expect(placeBlock(added.text, block('auto_failback = off'))).toEqual({ ...added, change: 'unchanged' });
  expect(placeBlock('', block('a = 1')).text).toBe(block('a = 1'));
});

test('replaces the earlier one where it is, and tells what stands behind it and wins', () => {
  const file = `${own}${block('auto_failback = off')}# later\nAuto_Failback = on\nmax_pool = 2\n`;
  const { text, change, warnings } = placeBlock(file, block('auto_failback = off\nconnect_timeout = 1500'));
  const placed = block('auto_failback = off\nconnect_timeout = 1500');
  expect([text, change]).toEqual([`${own}${placed}# later\nAuto_Failback = on\nmax_pool = 2\n`, 'replaced']);
  expect(warnings).toEqual(['its auto_failback is overridden by what stands behind it (old line 8)']);
});

test('of several, which an earlier ">>" has left, one remains', () => {
  const { text } = placeBlock(`${own}${block('a = 1')}b = 2\n${block('a = 2')}`, block('a = 3'));
  expect(text).toBe(`${own}b = 2\n${block('a = 3')}`);
});

test.each([
  ['# BEGIN pgpool-runbook: x\na = 1\n', 'line 1: "# BEGIN pgpool-runbook" without its end: remove that block'],
  [
    `# BEGIN pgpool-runbook: x\n${block('a = 1')}`,
    'line 1: "# BEGIN pgpool-runbook" without its end: remove that block',
  ],
  ['a = 1\n# END pgpool-runbook\n', 'line 2: "# END pgpool-runbook" without its begin: remove that block'],
])('a mark without its counterpart is refused: %j', (file, message) => {
  expect(() => placeBlock(file, block('a = 1'))).toThrow(new RangeError(message));
});

test('tells of what keeps failures from the hooks, and of a fragment without marks', () => {
  const file = [
    "backend_flag0 = 'ALLOW_TO_FAILOVER'",
    "backend_flag1 = 'DISALLOW_TO_FAILOVER'",
    "backend_flag2 = 'ALWAYS_PRIMARY|DISALLOW_TO_FAILOVER'",
    "include 'more.conf'",
    '# pgpool-runbook: cluster shop, pgpool pgpool0.',
  ].join('\n');
  expect(placeBlock(file, block('a = 1')).warnings).toEqual([
    'a fragment of an earlier version, without marks, begins at old line 5: remove it',
    "backend_flag1 = 'DISALLOW_TO_FAILOVER': pgpool tells no hook of that node's failure",
    "backend_flag2 = 'ALWAYS_PRIMARY|DISALLOW_TO_FAILOVER': pgpool tells no hook of that node's failure",
    'what it includes was not read: sr_check_user, health_check_user and the backend weights must be set there or above',
  ]);
});

test('the site’s settings are those outside of the block, the last of a name', () => {
  const settings = readSiteSettings(`${own}#a = 1\n${block('a = 2')}PORT 5432\n`);
  expect([...settings]).toEqual([
    ['port', '5432'],
    ['backend_weight0', '3'],
  ]);
});
