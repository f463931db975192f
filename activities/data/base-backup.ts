// Copies the primary's data with pg_basebackup, as a job on the node: no worker's death restarts, doubles or forgets it.
// Writes beside the old data (or, with removeFirst, into its emptied directory), and is done when backup_manifest is there.

import { applicationNameOf } from '../../domain/facts/application-name';
import { type ClusterConfiguration, getNode } from '../../domain/facts/cluster';
import { baseBackupPrefix, formatConninfo, tlsOptions } from '../../domain/texts/conninfo';
import { describeBytes, type RebuildPlan } from '../../domain/facts/data-directory';
import { copySlotName, holdWal, holdWalBoundMs } from '../io/sql/copy-slot';
import { failure } from '../io/failures';
import { baseBackupJobName, concludeCopy, concludeCopyBoundMs } from '../io/host/fresh-copy';
import { endJob, jobBoundMs, type JobEnd, listJobs, listJobsBoundMs, runJob } from '../io/host/jobs';
import { nodeFactsBoundMs, readNodeFacts } from '../io/sql/node-facts';
import { clearSourceMarks, clearSourceMarksBoundMs } from '../io/host/source-marks';
import type { Tools } from '../io/tools';

export interface BaseBackupInput {
  readonly configuration: ClusterConfiguration;
  readonly node: number;
  readonly primary: number;
  readonly rebuild: RebuildPlan;
}

export interface BaseBackupResult {
  readonly changed: boolean;
  readonly line: string;
  /** Without the WAL that was streamed beside it; null when it was found finished. */
  readonly bytes: number | null;
}

/** Heartbeat details. `line` is a whole sentence, as people see it in Temporal Web and on the command line. */
export interface BaseBackupProgress {
  readonly step: 'base backup';
  readonly percent: number | null;
  readonly doneBytes: number | null;
  readonly totalBytes: number | null;
  readonly line: string;
}

const sqlMs = 2000;
const mostCopies = 2;
const prepareMs = nodeFactsBoundMs(sqlMs) + clearSourceMarksBoundMs + holdWalBoundMs;
/**
 * Bounds the time beside the work of the jobs: sums their list, a look at the copy, for each copy its preparation, silence, end and a look at it,
 * and the primary's last words. Each job of an older rebuild that is ended adds endJobBoundMs.
 */
export const boundMs =
  listJobsBoundMs +
  concludeCopyBoundMs +
  mostCopies * (prepareMs + jobBoundMs + concludeCopyBoundMs) +
  nodeFactsBoundMs(sqlMs);

/**
 * A copy whose job was lost is looked at: complete, or removed and made once more.
 * @throws Configuration when a node is to copy itself; WorldChanged when the primary is in recovery, or a directory holds what
 * is not ours; Unproven when pg_basebackup failed; Unreachable; Cancelled, once nothing of the copy is left
 */
export async function baseBackup(tools: Tools, input: BaseBackupInput): Promise<BaseBackupResult> {
  if (input.primary === input.node) throw failure('configuration', `node ${input.node} cannot be rebuilt from itself`);
  tools.attempt.tell(readProgress(input.node, ''));
  return await new Copy(tools, input).make();
}

class Copy {
  private readonly configuration;
  private readonly node;
  private readonly primary;
  private readonly rebuild;
  private readonly name: string;
  private readonly source: string;

  constructor(
    private readonly tools: Tools,
    input: BaseBackupInput,
  ) {
    this.configuration = input.configuration;
    this.rebuild = input.rebuild;
    this.node = getNode(input.configuration, input.node);
    this.primary = getNode(input.configuration, input.primary);
    this.name = `node ${input.node}`;
    this.source = `node ${input.primary}`;
  }

  async make(): Promise<BaseBackupResult> {
    await this.endOlder();
    let found = await this.concludeCopy();
    // The slot may have been dropped while the rebuild was parked.
    if (found.state === 'marked' || found.state === 'complete') await this.holdWal(false);
    if (found.state === 'marked' || found.state === 'complete') return this.report(false, 'was complete already', null);
    let { isLost } = found;
    for (;;) {
      if (found.state !== 'running') await this.confirmSource();
      const end = await this.run();
      found = await this.concludeCopy();
      if (found.state === 'marked' || found.state === 'complete') {
        const again = isLost ? ', made anew because an earlier one was lost half-way' : '';
        return this.report(true, `is complete${again}`, readProgress(this.node.id, end.log).doneBytes);
      }
      if (end.state === 'done' || isLost) throw await this.explain(end);
      isLost = true;
    }
  }

  private report(changed: boolean, state: string, bytes: number | null): BaseBackupResult {
    const size = bytes === null ? '' : ` of ${describeBytes(bytes)}`;
    return { changed, line: `${this.name}: base backup${size} from ${this.source} ${state}`, bytes };
  }

  private concludeCopy(hasWritten = false) {
    const { configuration, node, rebuild } = this;
    return concludeCopy(this.tools, { configuration, node, rebuild, action: 'prepare', hasWritten });
  }

  /** Their names sort by age. A newer one is not ours to end: settle refuses. */
  private async endOlder(): Promise<void> {
    const own = baseBackupJobName(this.rebuild);
    const ageOf = (job: string): string => job.replace(/^(base-backup|verify)-/, '');
    for (const job of await listJobs(this.tools, this.configuration, this.node)) {
      if (/^(base-backup|verify)-/.test(job) && ageOf(job) < ageOf(own))
        await endJob(this.tools, this.configuration, this.node, job);
    }
  }

  private async confirmSource(): Promise<void> {
    const facts = await readNodeFacts(this.tools.sql, this.configuration, this.primary, sqlMs);
    if (facts.sql !== 'answered')
      throw failure('unreachable', `${this.name}: no base backup from ${this.source}, which says: ${facts.sqlSeen}`);
    if (facts.isInRecovery === true)
      throw failure('worldChanged', `${this.name}: no base backup from ${this.source}, which is in recovery`);
    await clearSourceMarks(this.tools, this.configuration, this.primary);
    await this.holdWal(true);
  }

  private async holdWal(isAnew: boolean): Promise<void> {
    const { configuration, node, primary } = this;
    await holdWal(this.tools, { configuration, node: node.id, primary: primary.id }, { isAnew });
  }

  private async run(): Promise<JobEnd> {
    const { configuration, node } = this;
    const { bin, passFile } = configuration.postgres;
    const name = baseBackupJobName(this.rebuild);
    const args = [bin, passFile, ...this.options()];
    try {
      return await runJob(this.tools, { configuration, node, name, script: 'baseBackup', args }, (log) =>
        readProgress(node.id, log),
      );
    } catch (error) {
      // A pg_basebackup that was told to end leaves what it has written.
      if (this.tools.attempt.isCancelRequested()) await this.concludeCopy(true);
      throw error;
    }
  }

  private options(): string[] {
    const { maximumRateKilobytes, compression } = this.configuration.policy.baseBackup;
    const [data, ...linked] = this.rebuild.directories;
    // PostgreSQL documentation, pg_basebackup: an equal sign in a directory is preceded by a backslash.
    const escape = (path: string): string => path.replaceAll('=', String.raw`\=`);
    return [
      ...['-d', this.conninfo(), '-D', data!.fresh, '--checkpoint=fast', '--wal-method=stream'],
      // The slot moves on with the WAL that is received. The line primary_slot_name that this writes goes with the restored configuration.
      `--slot=${copySlotName(this.node.id)}`,
      // standby.signal is there before backup_manifest is: a copy that somebody starts never accepts writes.
      ...['--write-recovery-conf', '--progress', '--verbose', '--no-password'],
      ...linked.flatMap(({ kind, sourceLocation, fresh }) =>
        kind === 'wal' ? [`--waldir=${fresh}`] : ['-T', `${escape(sourceLocation ?? '')}=${escape(fresh)}`],
      ),
      ...(maximumRateKilobytes > 0 ? [`--max-rate=${maximumRateKilobytes}k`] : []),
      ...(compression === 'none' ? [] : [`--compress=server-${compression}`]),
    ];
  }

  private conninfo(): string {
    const { host, port } = this.primary;
    const values = {
      host,
      port: String(port),
      user: this.configuration.postgres.replicationUser,
      // In front: the server cuts names at 63 bytes, and what is left must never be the standby's own.
      application_name: `${baseBackupPrefix}${applicationNameOf(this.node)}`,
      connect_timeout: '10',
      // A host that vanished is noticed after half a minute, not two hours.
      keepalives_idle: '15',
      keepalives_interval: '5',
      keepalives_count: '3',
    };
    return formatConninfo(new Map([...Object.entries(values), ...tlsOptions(this.configuration.postgres)]));
  }

  /** pg_basebackup's own words, what the primary says now, and what to do. */
  private async explain(end: JobEnd): Promise<ReturnType<typeof failure>> {
    const what = `${this.name}: base backup from ${this.source} (${this.primary.host}:${this.primary.port})`;
    if (end.state === 'lost')
      return failure('unproven', `${what} was lost twice: was ${this.name} restarted, or the process killed?`);
    const words = lastWords(end.log) || `exit code ${end.exitCode} and no backup_manifest`;
    const { sql, sqlSeen } = await readNodeFacts(this.tools.sql, this.configuration, this.primary, sqlMs);
    const isGone = sql !== 'answered';
    const advice = isGone ? `${this.source} does not answer any more (${sqlSeen})` : adviseOn(words, this.primary.id);
    return failure(isGone ? 'unreachable' : 'unproven', `${what} failed: ${words}${advice && `; ${advice}`}`);
  }
}

function adviseOn(words: string, primary: number): string {
  const source = `node ${primary}`;
  const advice: [RegExp, string][] = [
    [
      /no pg_hba\.conf entry/,
      `add a line for database "replication" and this user and host to pg_hba.conf of ${source}`,
    ],
    [/number of requested standby connections exceeds/, `raise max_wal_senders of ${source}, or wait until others end`],
    [/all replication slots are in use/, `raise max_replication_slots of ${source}, or drop slots that nobody uses`],
    [/No space left on device/, 'make room there, or set policy.replacedData to removeFirst'],
    [/password/, 'check the replication user’s line in postgres.passFile on the node that copies (mode 0600)'],
  ];
  return advice.find(([pattern]) => pattern.test(words))?.[1] ?? '';
}

const progressPattern = /^\s*([0-9]+)\/([0-9]+) kB \(([0-9]+)%\), .*$/gm;

/** The words of pg_basebackup, without its progress. */
function lastWords(log: string): string {
  const lines = log.replaceAll(progressPattern, '').split('\n');
  const said = lines.map((line) => line.trim()).filter(Boolean);
  const errors = said.filter((line) => /error|fatal|detail|hint|not found|cannot/i.test(line));
  return (errors.length > 0 ? errors : said).slice(-4).join(' / ').slice(-800);
}

/** From the last line of `pg_basebackup --progress`: "  12345/67890 kB (18%), 0/1 tablespace (…)". */
function readProgress(node: number, log: string): BaseBackupProgress {
  const who = `node ${node}: base backup`;
  const last = [...log.matchAll(progressPattern)].at(-1);
  if (!last) return { step: 'base backup', percent: null, doneBytes: null, totalBytes: null, line: `${who} begins` };
  const [doneBytes, totalBytes] = [Number(last[1]) * 1024, Number(last[2]) * 1024];
  const line = `${who} ${last[3]!} % (${describeBytes(doneBytes)} of ${describeBytes(totalBytes)})`;
  return { step: 'base backup', percent: Number(last[3]), doneBytes, totalBytes, line };
}
