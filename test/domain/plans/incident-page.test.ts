// docs/architecture.md shows the page of rules as the code has it. UPDATE_PAGE=1 writes it there.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rows } from '../../../domain/plans/incident-rows';

const file = join(__dirname, '..', '..', '..', 'docs', 'architecture.md');
const titles = {
  primary: 'a decision knows the primary',
  refused: 'nobody can be promoted',
  hint: 'pgpool says follow',
  returned: 'a node answers again',
  followed: 'its follow has ended',
  quiet: 'nothing else is left',
} as const;

function makeTable(): string {
  const cells = [
    ['Row', 'Message', 'When', 'Then'],
    ...rows.map(({ number, on, when, then }) => [String(number), titles[on], when, then]),
  ];
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const lines = cells.map((row) => `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`);
  lines.splice(1, 0, `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`);
  return lines.join('\n');
}

test('the documentation shows the page as it is', () => {
  const page = readFileSync(file, 'utf8');
  const [before, rest] = page.split('<!-- rows -->\n');
  const [shown, after] = rest!.split('<!-- /rows -->');
  const table = `\n${makeTable()}\n\n`;
  if (process.env['UPDATE_PAGE'] === '1')
    writeFileSync(file, `${before!}<!-- rows -->\n${table}<!-- /rows -->${after!}`);
  else expect(shown).toBe(table);
});
