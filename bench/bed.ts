// A lab to measure on: kept data to begin every round with, a pgpool that calls our scripts or another side's, and
// silence before each round, so that no incident is open.

import { Client as Temporal, Connection } from '@temporalio/client';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { clusterStart, incidentWorkflowId, workflowTypes } from '../domain/facts/names';
import { nothingRecorded } from '../domain/facts/record';
import { writeFor } from '../lab/files';
import { waitUntilClosed } from '../lab/incident-watch';
import { type Lab, up } from '../lab/lab';
import { startTemporalOnPostgres } from '../lab/temporal-on-postgres';
import type { TemporalServer } from '../lab/tools';
import { findCommands, killAll, type ProcessRecord } from '../lab/processes';
import { waitFor } from '../lab/wait';
import { formatSampleRecovery, rivalsDirectory, type Side } from './rivals';

/**
 * `small` is a fresh cluster, `large` holds a table of the given size; `samples` is small, set up for pgpool's sample
 * scripts.
 */
export type Data = 'small' | 'large' | 'samples';

const incidentMs = 90_000;
const scriptsMs = 30_000;
/**
 * Bytes of a row of `large` with its overhead, and rows written at once, well within the connection's query timeout.
 */
const rowBytes = 1070;
const batch = 10_000;

export class Bed {
  private readonly kept = new Set<Data>();
  /** The first cluster file, because a round may change the policy. */
  private readonly clusterFileText: string;

  private constructor(
    readonly lab: Lab,
    readonly temporal: Temporal,
    private readonly largeBytes: number,
    private readonly say: (line: string) => void,
  ) {
    this.clusterFileText = readFileSync(lab.clusterFile, 'utf8');
  }

  /** @param largeBytes of table data in `large` */
  static async make(
    options: { readonly name: string; readonly nodes: number; readonly largeBytes: number },
    say: (line: string) => void,
  ): Promise<Bed> {
    const lab = await up({ name: options.name, nodes: options.nodes });
    // Never closed: a pending poll of an interrupted round would throw an error that no code catches.
    const connection = await Connection.connect({ address: lab.temporal.address });
    const temporal = new Temporal({ connection, namespace: lab.temporal.namespace });
    const bed = new Bed(lab, temporal, options.largeBytes, say);
    await lab.stopPgpool();
    await lab.keepData('small');
    bed.kept.add('small');
    return bed;
  }

  /**
   * Begins a round: every node up with this data, node 0 the primary, pgpool with the side's scripts, no work in
   * Temporal.
   */
  async begin(side: Side, data: Data): Promise<void> {
    const { lab } = this;
    await this.silence();
    await lab.stopPgpool();
    writeFileSync(lab.clusterFile, this.clusterFileText);
    await this.keep(data);
    await lab.putBackData(data);
    lab.setPgpoolLines(side.lines);
    await lab.startPgpool();
  }

  /** Moves Temporal's state to a PostgreSQL of its own, for good. */
  async moveTemporalToPostgres(programs: TemporalServer): Promise<void> {
    const { lab } = this;
    await this.silence();
    await lab.stopWorker();
    await lab.killTemporal();
    await startTemporalOnPostgres(lab.layout, programs);
    await lab.startWorker();
  }

  /** A connection to a node, for queries from now on; it survives the end of the node. */
  async connect(node: number): Promise<Client> {
    const client = new Client(this.lab.connection(node));
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  /**
   * Waits for the incident and the other side's scripts to end, then ends those that wait for nodes that will never
   * come back.
   */
  async silence(): Promise<void> {
    const { lab, temporal } = this;
    const findScripts = (): ProcessRecord[] => findCommands(rivalsDirectory(lab));
    const scripts = { what: 'the scripts to end', timeoutMs: scriptsMs };
    // Scripts that are left wait for a host that has vanished.
    await waitFor(() => findScripts().length === 0, scripts).catch(() => killAll(findScripts, 'the scripts'));
    await waitUntilClosed(temporal, incidentWorkflowId(lab.configuration.cluster), AbortSignal.timeout(incidentMs));
    const isSilent = async (): Promise<boolean> => {
      let isRunning = false;
      for await (const { workflowId, runId } of temporal.workflow.list({ query: 'ExecutionStatus = "Running"' })) {
        isRunning = true;
        await temporal.workflow
          .getHandle(workflowId, runId)
          .terminate('the round is over')
          .catch(() => undefined);
      }
      return !isRunning;
    };
    await waitFor(isSilent, { what: 'Temporal to have nothing open', timeoutMs: 20_000, intervalMs: 200 });
    // The data of the next round are older: a run that knows nothing takes the place of what the watch saw of the last one's.
    const blank = clusterStart(this.lab.configuration, { recorded: nothingRecorded, watch: null });
    const start = { ...blank, workflowIdConflictPolicy: 'TERMINATE_EXISTING' as const };
    await (await temporal.workflow.start(workflowTypes.cluster, start)).terminate('the next round knows nothing');
  }

  private async keep(data: Data): Promise<void> {
    if (this.kept.has(data)) return;
    const { lab } = this;
    this.say(`preparing the data: ${data}`);
    await lab.putBackData('small');
    if (data === 'samples') await this.setUpForSamples();
    else await this.fill();
    await lab.keepData(data);
    this.kept.add(data);
  }

  private async setUpForSamples(): Promise<void> {
    const { layout } = this.lab;
    for (const node of layout.nodes.slice(1)) {
      const { file, text } = formatSampleRecovery(this.lab, node);
      writeFor(layout.user, file, text);
      appendFileSync(join(node.dataDirectory, 'postgresql.conf'), `include_if_exists = '${file}'\n`);
      const client = await this.connect(node.id);
      await client.query('alter system reset primary_conninfo');
      await client.query('select pg_reload_conf()');
      await client.end();
    }
  }

  /** Writes rows of a kilobyte each, and waits until every standby has them. */
  private async fill(): Promise<void> {
    const client = await this.connect(0);
    // A small max_wal_size, because recycled segments would be copied with every round's data.
    await client.query("alter system set max_wal_size = '128MB'");
    await client.query('select pg_reload_conf()');
    await client.query('create table filler (id int primary key, noise text not null)');
    await client.query('alter table filler alter noise set storage plain');
    const rows = Math.ceil(this.largeBytes / rowBytes);
    for (let from = 1; from <= rows; from += batch) {
      const ids = `generate_series(${from}, ${Math.min(rows, from + batch - 1)})`;
      await client.query(`insert into filler select id, repeat(md5(id::text), 31) from ${ids} id`);
    }
    const caughtUp = 'select count(*)::int as n from pg_stat_replication where replay_lsn >= pg_current_wal_lsn()';
    const wanted = this.lab.layout.nodes.length - 1;
    await waitFor(async () => (await client.query<{ n: number }>(caughtUp)).rows[0]?.n === wanted, {
      what: 'the standbys to have the rows',
      timeoutMs: 120_000,
    });
    await client.query('checkpoint');
    await client.query('alter system reset max_wal_size');
    await client.end();
  }
}
