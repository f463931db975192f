// Our marked block in a site's pgpool.conf: finds, adds or replaces it, and warns of the site's settings that oppose
// it. Pure.

/** A site's pgpool.conf with our block in place. */
export interface PlacedBlock {
  /** The whole file. */
  readonly text: string;
  readonly change: 'added' | 'replaced' | 'unchanged';
  /** Sentences for a person: a setting overrides the block, or keeps failures from the hooks. */
  readonly warnings: readonly string[];
}

export const beginMark = '# BEGIN pgpool-runbook';
export const endMark = '# END pgpool-runbook';

/** Settings outside our block: the last value of each name, in small letters. `include` counts as a name. */
export function readSiteSettings(text: string): ReadonlyMap<string, string> {
  return new Map(readSettings(findBlocks(text.split('\n')).outside).map(({ name, value }) => [name, value]));
}

/**
 * Replaces the block in place (the last one if there are several; the others are removed), or adds it at the end.
 * @throws RangeError for a mark without its counterpart
 */
export function placeBlock(text: string, block: string): PlacedBlock {
  const lines = text.split('\n');
  const { outside, blocks } = findBlocks(lines);
  const place = blocks.at(-1)?.from ?? lines.length;
  const before = outside.filter(({ number }) => number <= place).map(({ line }) => line);
  const after = outside.filter(({ number }) => number > place);
  while (blocks.length === 0 && before.at(-1)?.trim() === '') before.pop();
  const gap = blocks.length === 0 && before.length > 0 ? [''] : [];
  const parts = [...before, ...gap, ...block.trimEnd().split('\n'), ...after.map(({ line }) => line)];
  const placed = `${parts.join('\n').trimEnd()}\n`;
  const change = placed === text ? 'unchanged' : blocks.length > 0 ? 'replaced' : 'added';
  return { text: placed, change, warnings: [...warnOfOverrides(block, after), ...warnOfSite(outside)] };
}

interface Line {
  /** The line's number in the file, from 1. */
  readonly number: number;
  readonly line: string;
}

interface Setting {
  readonly number: number;
  readonly name: string;
  readonly value: string;
}

function findBlocks(lines: readonly string[]): { outside: Line[]; blocks: { from: number }[] } {
  const outside: Line[] = [];
  const blocks: { from: number }[] = [];
  let open: number | null = null;
  for (const [index, line] of lines.entries()) {
    const number = index + 1;
    if (line.startsWith(beginMark)) {
      if (open !== null) throw new RangeError(`line ${open}: "${beginMark}" without its end: remove that block`);
      open = number;
    } else if (line.startsWith(endMark)) {
      if (open === null) throw new RangeError(`line ${number}: "${endMark}" without its begin: remove that block`);
      blocks.push({ from: open });
      open = null;
    } else if (open === null) outside.push({ number, line });
  }
  if (open !== null) throw new RangeError(`line ${open}: "${beginMark}" without its end: remove that block`);
  return { outside, blocks };
}

/** As pool_config.l reads a line: a name, `=` or a blank, a value. */
function readSettings(lines: readonly Line[]): Setting[] {
  return lines.flatMap(({ number, line }) => {
    const match = /^\s*([A-Za-z_]\w*)(?:\s*=\s*|\s+)(.*?)\s*$/.exec(line);
    return match ? [{ number, name: match[1]!.toLowerCase(), value: match[2]! }] : [];
  });
}

function warnOfOverrides(block: string, after: readonly Line[]): string[] {
  const ours = new Set(readSettings(block.split('\n').map((line) => ({ number: 0, line }))).map(({ name }) => name));
  return readSettings(after)
    .filter(({ name }) => ours.has(name))
    .map(({ number, name }) => `its ${name} is overridden by what stands behind it (old line ${number})`);
}

function warnOfSite(outside: readonly Line[]): string[] {
  const older = outside.find(({ line }) => /^# pgpool-runbook: cluster /.test(line));
  const settings = readSettings(outside);
  return [
    ...(older
      ? [`a fragment of an earlier version, without marks, begins at old line ${older.number}: remove it`]
      : []),
    ...settings.flatMap(({ name, value }) => {
      if (!/^backend_flag[0-9]+$/.test(name)) return [];
      if (/DISALLOW_TO_FAILOVER/i.test(value))
        return [`${name} = ${value}: pgpool tells no hook of that node's failure`];
      return /ALWAYS_PRIMARY/i.test(value) ? [`${name} = ${value}: pgpool never looks for another primary`] : [];
    }),
    ...(settings.some(({ name }) => name.startsWith('include'))
      ? [
          'what it includes was not read: sr_check_user, health_check_user and the backend weights must be set there or above',
        ]
      : []),
  ];
}
