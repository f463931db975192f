// Changes one setting of a running server by ALTER SYSTEM and reload, and proves that it is in force.

import { failure } from '../failures';
import { quoteLiteral, type SqlTarget } from './postgres';
import type { Tools } from '../tools';

export interface Setting {
  /** Written into the statement as it is. */
  readonly name: 'primary_conninfo' | 'synchronous_standby_names';
  readonly value: string;
}

const pauseMs = 5;

/** Bounds alterSystem() after its last `confirm`: sums the reload, the wait for the value, and a last look. */
export function reloadBoundMs(timeoutMs: number): number {
  return timeoutMs + timeoutMs + pauseMs + timeoutMs;
}

/**
 * `confirm` is called right before each statement that acts, and throws when it must not. pg_reload_conf only asks the postmaster:
 * the value counts when a session sees it, which is awaited.
 * @throws Unproven when it is not seen within timeoutMs; SqlFailure
 */
export async function alterSystem(
  tools: Tools,
  target: SqlTarget,
  { name, value }: Setting,
  { timeoutMs, confirm }: { readonly timeoutMs: number; readonly confirm: () => void },
): Promise<void> {
  confirm();
  await tools.sql.query(target, `alter system set ${name} = ${quoteLiteral(value)}`, { timeoutMs });
  confirm();
  await tools.sql.query(target, 'select pg_reload_conf()', { timeoutMs });
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    if ((await readSetting(tools, target, name, timeoutMs)) === value) return;
    if (Date.now() > deadline) {
      // Without the values: a conninfo may hold a password.
      const place = `PostgreSQL at ${target.host}:${target.port}`;
      throw failure(
        'unproven',
        `${place}: ${name} is not what was written, even after a reload; the server's log says why`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

export async function readSetting(
  tools: Tools,
  target: SqlTarget,
  name: Setting['name'] | 'primary_slot_name',
  timeoutMs: number,
): Promise<string> {
  const [row] = await tools.sql.query<{ value: string }>(target, 'select current_setting($1) as value', {
    values: [name],
    timeoutMs,
  });
  return row!.value;
}
