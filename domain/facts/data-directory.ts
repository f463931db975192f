// The directories that a rebuild works on, as measured and as planned. Plain data, recorded in history.

import type { HostFacts } from './facts';

/** One directory of the target that a rebuild replaces, as it was measured. */
export interface PlaceFacts {
  readonly exists: boolean;
  /** True also for a directory that does not exist. */
  readonly isEmpty: boolean;
  /** The ssh user owns the directory. */
  readonly isOwned: boolean;
  readonly isMountPoint: boolean;
  /** The ssh user may rename it, and write beside it: no mount point, and the parent exists and is writable. */
  readonly isRenamable: boolean;
  /** The primary, on the same machine, uses this very directory, too. */
  readonly isPrimarys: boolean;
  /** The filesystem that the copy is written to: places with the same device share its free bytes. */
  readonly device: string | null;
  readonly freeBytes: number | null;
  /** Bytes in the directory without linked directories; null when they could not be measured in time. */
  readonly usedBytes: number | null;
  /** Bytes in the leftover of an earlier copy beside the directory; the leftover is removed before the next copy. */
  readonly leftoverBytes: number;
  /** A foreign file, which a rebuild would lose, or a mount point below the directory, which cannot be replaced. */
  readonly stranger: string | null;
}

/** A directory outside the data directory that a link inside it leads to: pg_wal, or a tablespace. */
export interface LinkedDirectory extends PlaceFacts {
  readonly kind: 'wal' | 'tablespace';
  /** The link's name: `pg_wal`, or the tablespace's OID below pg_tblspc. */
  readonly link: string;
  /** The real path on the node. */
  readonly path: string;
}

/** One tablespace of the primary. */
export interface SourceTablespace {
  readonly oid: string;
  /** The location, as pg_tablespace_location() prints it on the primary. */
  readonly location: string;
  readonly bytes: number;
}

/**
 * Facts about the target, and about what its copy needs from the primary, as `inspectData` measured them. The place is
 * the data directory.
 */
export interface DataFacts extends PlaceFacts {
  /** The configured path with every symbolic link resolved, also when only its parent exists; null without a parent. */
  readonly realPath: string | null;
  /** PG_VERSION; null without one. */
  readonly version: string | null;
  /** Half copied or half removed: no PG_VERSION, but backup_label or our mark of a removal. */
  readonly isUnfinished: boolean;
  /** Processes and control file, measured together with the rest. */
  readonly host: HostFacts;
  readonly hasControlFile: boolean;
  /** Facts of the control file, also while PostgreSQL runs; null when there is none, or it cannot be read. */
  readonly own: {
    readonly systemIdentifier: string;
    /** pg_controldata's words; `copied` for a base backup that was never started, whose words are its source's. */
    readonly state: string;
    /** The newest timeline in the control file or in the WAL on disk. */
    readonly timeline: number;
  } | null;
  /** The directory is the fresh copy of the rebuild with this id, which is not finished. */
  readonly rebuildMark: string | null;
  readonly linked: readonly LinkedDirectory[];
  /** Tablespaces of the primary that the target does not have: `path` is the primary's own location. */
  readonly missing: readonly LinkedDirectory[];
  readonly source: {
    /** Major version. */
    readonly version: string;
    readonly systemIdentifier: string;
    readonly timeline: number;
    readonly isInRecovery: boolean;
    /** Bytes of the data directory, without WAL and tablespaces. */
    readonly bytes: number;
    /** Bytes that the copy's pg_wal may grow to. */
    readonly walBytes: number;
    readonly tablespaces: readonly SourceTablespace[];
  };
}

/** One directory that a rebuild replaces. */
export interface RebuildDirectory {
  readonly kind: 'data' | 'wal' | 'tablespace';
  /** `pg_wal`, or the tablespace's OID; null for the data directory. */
  readonly link: string | null;
  /** The tablespace's location on the primary, for --tablespace-mapping; else null. */
  readonly sourceLocation: string | null;
  /** The directory's path before and after the rebuild. */
  readonly current: string;
  /** The base backup's path, beside `current`; with removeFirst it is `current`. */
  readonly fresh: string;
  /** The path at which the old directory is set aside; unused with removeFirst. */
  readonly aside: string;
}

export interface RebuildPlan {
  /** Begins with the UTC time, so that names sort by age: 20261123T101530Z-0a1b2c3d. */
  readonly rebuildId: string;
  readonly mode: 'sibling' | 'removeFirst';
  /** The data directory first. */
  readonly directories: readonly RebuildDirectory[];
}

/** In the data directory while it is a fresh copy that is not finished; holds the rebuild's id. */
export const rebuildMarkName = 'pgpool-runbook.rebuild';
export const freshSuffix = '.pgpool-runbook-rebuild';

/** Directories that were set aside by a rebuild of ours are named like this, and nothing else is. */
export function asidePath(current: string, rebuildId: string): string {
  return `${current}.replaced-${rebuildId}`;
}

export const rebuildIdPattern = /^[0-9]{8}T[0-9]{6}Z-[a-z0-9]{8}$/;

/** "104 MB": as pg_size_pretty() counts, in powers of 1024. */
export function describeBytes(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)));
  const value = bytes / 1024 ** power;
  return `${value < 10 && power > 0 ? value.toFixed(1) : String(Math.round(value))} ${units[power]!}`;
}

/** WAL that only the target holds, from the fork on. */
export interface DivergedRange {
  readonly timeline: number;
  readonly fromLsn: string;
  readonly toLsn: string;
  readonly bytes: number;
  /** Committed transactions in it; null when they could not be read. */
  readonly commits: number | null;
  /** ISO time of the last of them, by the node's clock. */
  readonly lastCommitAt: string | null;
  /** The directory on the node in which its WAL files were saved. */
  readonly savedTo: string;
}
