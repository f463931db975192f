// A named line of the runbook: what Temporal Web shows as the workflow's current details while and after it runs.

import { isCancellation, rootCause, setCurrentDetails } from '@temporalio/workflow';

interface Row {
  readonly title: string;
  readonly startedAt: number;
  state: 'running' | 'done' | 'failed' | 'cancelled' | 'note';
  seen: string;
  ms: number | null;
}

const shownRows = 100;

export class Steps {
  private readonly rows: Row[] = [];
  private readonly openedAt = Date.now();

  constructor(private readonly heading: string) {}

  /** Runs one step and records how it went; the result or error passes through. */
  async run<T>(title: string, body: () => Promise<T>, describe: (result: T) => string): Promise<T> {
    const row: Row = { title, startedAt: Date.now(), state: 'running', seen: '', ms: null };
    this.rows.push(row);
    this.show();
    try {
      const result = await body();
      row.state = 'done';
      row.seen = describe(result);
      return result;
    } catch (error) {
      row.state = isCancellation(error) ? 'cancelled' : 'failed';
      row.seen = messageOf(error);
      throw error;
    } finally {
      row.ms = Date.now() - row.startedAt;
      this.show();
    }
  }

  /** Adds a decision or an observation: a line without a duration. */
  note(title: string, seen: string): void {
    this.rows.push({ title, startedAt: Date.now(), state: 'note', seen, ms: null });
    this.show();
  }

  /**
   * Shows the rows as Markdown on the workflow's page in Temporal Web. A workflow parked for days has many rows, so
   * only the last ones are shown.
   */
  private show(): void {
    const lines = this.rows
      .slice(-shownRows)
      .map(
        (row) =>
          `| +${row.startedAt - this.openedAt} ms | ${row.title} | ${row.state === 'note' ? '' : row.state} | ${row.ms === null ? '' : `${row.ms} ms`} | ${cell(row.seen)} |`,
      );
    setCurrentDetails(
      [
        `### ${this.heading}`,
        '',
        '| at | step | state | took | what was seen |',
        '|---|---|---|---|---|',
        ...lines,
      ].join('\n'),
    );
  }
}

/** The innermost cause: Temporal wraps an activity's failure in "Activity task failed". */
export function messageOf(error: unknown): string {
  return rootCause(error) ?? (error instanceof Error ? error.message : String(error));
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll(/\s+/g, ' ').slice(0, 400);
}
