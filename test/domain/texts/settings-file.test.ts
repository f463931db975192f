// Settings files as guc-file.l reads them; test/activities/standby/configure-standby.test.ts asks a real PostgreSQL about the same spellings.

import fc from 'fast-check';
import {
  autoConfHeader,
  readSetting,
  replicationSettings,
  withoutSettings,
  withSetting,
} from '../../../domain/texts/settings-file';

test.each([
  ['port = 5432', '5432'],
  ['port=5432', '5432'],
  ['port 5432', '5432'],
  ["port'5432'", '5432'],
  ["  PORT\t=\t'5432'   # why\r", '5432'],
  ["port = '1'\nPort = '2'\n#port = 3\nport_of = 4\nmy.port = 5", '2'],
  ["port = ''", ''],
  [String.raw`port = 'it''s \'here\' \\ \t\101'`, "it's 'here' \\ \tA"],
  ["port = '# no comment'", '# no comment'],
  ['port = 1\nport = ', '1'],
  ["port = '1", null],
  ["port = '1' '2'", null],
  ["port = '1\n'", null],
  ['port5432', null],
  ["'port' = 1", null],
  ['', null],
])('%j sets %j', (text, expected) => {
  expect(readSetting(text, 'port')).toBe(expected);
});

test('a name with a dot is one name', () => {
  expect(readSetting('auto_explain.log_min_duration = 3s', 'auto_explain.log_min_duration')).toBe('3s');
});

test.each([
  'primary_conninfo',
  'primary_slot_name',
  'synchronous_standby_names',
  'recovery_target',
  'recovery_target_timeline',
  'recovery_target_lsn',
  'promote_trigger_file',
])('%s is of the moment', (name) => {
  expect(name).toMatch(replicationSettings);
});

test.each([
  'restore_command',
  'archive_command',
  'archive_cleanup_command',
  'recovery_end_command',
  'recovery_min_apply_delay',
  'synchronous_commit',
  'port',
])('%s is the node’s own', (name) => {
  expect(name).not.toMatch(replicationSettings);
});

test('only the lines of the unwanted names go, however they are written', () => {
  const kept = `${autoConfHeader}work_mem = '5MB'\n#primary_conninfo = 'x'\nprimary_conninfo.extra = 1\n`;
  const text = `${kept}Primary_Conninfo='a'\n  recovery_target_time '2026'\nprimary_slot_name = 'unclosed\n`;
  expect(withoutSettings(text, replicationSettings)).toBe(kept);
});

test('a setting is written once, at the end, quoted', () => {
  expect(withSetting("port = 1\nwork_mem = 4MB\nPORT '2'", 'port', "it's \\ 3")).toBe(
    String.raw`work_mem = 4MB` + '\n' + String.raw`port = 'it''s \\ 3'` + '\n',
  );
  expect(withSetting('', 'port', '1')).toBe("port = '1'\n");
});

const anyText = fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\0', ''));
const settingsText = fc.oneof(
  anyText,
  fc
    .array(fc.constantFrom('port', 'my.port', ' ', '=', "'", '\\', '\n', '#', 'n', '1', '\r', '\t', 'é'))
    .map((words) => words.join('')),
);
const anyName = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,9}(?:\.[A-Za-z_][A-Za-z0-9_]{0,9})?$/);

test('what is written into any text can be read back, and a second time changes nothing', () => {
  const property = fc.property(settingsText, anyName, anyText, (text, name, value) => {
    const written = withSetting(text, name, value);
    expect(readSetting(written, name)).toBe(value);
    expect(readSetting(written, name.toUpperCase())).toBe(value);
    expect(withSetting(written, name, value)).toBe(written);
  });
  fc.assert(property, { numRuns: 2000 });
});

test('other settings keep their values', () => {
  const property = fc.property(settingsText, anyText, (text, value) => {
    const written = withSetting(text, 'work_mem', value);
    for (const name of ['port', 'my.port', 'n']) expect(readSetting(written, name)).toBe(readSetting(text, name));
  });
  fc.assert(property, { numRuns: 2000 });
});

test('what was removed is not there', () => {
  const property = fc.property(settingsText, (text) => {
    const rest = withoutSettings(text, /^port$/);
    expect(readSetting(rest, 'port')).toBeNull();
    expect(text.split('\n')).toEqual(expect.arrayContaining(rest === '' ? [] : rest.split('\n')));
  });
  fc.assert(property, { numRuns: 2000 });
});

test('long hostile text is read at once', () => {
  const startedAt = performance.now();
  for (const unit of ["'", '\\', ' ', 'a', 'a=', "a='", "''", "' ", '#'])
    readSetting(`a = '${unit.repeat(50_000)}`, 'a');
  expect(performance.now() - startedAt).toBeLessThan(5000);
});
