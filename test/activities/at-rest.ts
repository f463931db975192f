// Shared by tests of positions: PostgreSQL writes WAL of its own now and then (the snapshots of running transactions).
import type { Bed } from './support';

const positionQuery = `select case when pg_is_in_recovery() then pg_last_wal_receive_lsn() else pg_current_wal_flush_lsn() end::text as lsn`;

/** The sight of `look` while every node of the bed was at the same position, which is read before and after it. */
export async function lookAtRest<T>(bed: Bed, look: () => Promise<T>): Promise<{ lsn: string; seen: T }> {
  const readPositions = async (): Promise<string[]> =>
    await Promise.all(bed.configuration.nodes.map(async ({ id }) => String((await bed.ask(id, positionQuery))['lsn'])));
  for (let looks = 1; ; looks++) {
    const before = await readPositions();
    const seen = await look();
    const positions = [...before, ...(await readPositions())];
    if (new Set(positions).size === 1) return { lsn: positions[0]!, seen };
    if (looks === 20) throw new Error(`the nodes do not come to rest: ${positions.join(', ')}`);
  }
}
