// The worker's view of its cluster files while it runs, and the search attributes that it registers at start.

import type { Client, Connection } from '@temporalio/client';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WorkerTools } from '../../activities/io/tools';
import { loadClusterFile } from '../../configuration/load';
import { searchAttributeNames } from '../../domain/facts/names';
import { ensureSearchAttributes } from '../../worker/search-attributes';
import { createTools } from '../../worker/tools';
import { clusterFile, edit } from '../configuration/cluster-file';

describe('readConfiguration', () => {
  let folder: string, path: string, tools: WorkerTools, said: string[];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tools-'));
    path = join(folder, 'shop.yaml');
    writeFileSync(path, clusterFile);
    said = [];
    // No signal is sent here, so the client is never used.
    tools = createTools([{ path, configuration: loadClusterFile(path) }], {} as unknown as Client, (line) =>
      said.push(line),
    );
  });
  afterEach(async () => {
    await Promise.all([tools.sql.close(), tools.ssh.close()]);
    rmSync(folder, { recursive: true });
  });
  const hosts = (): string[] => tools.readConfiguration('shop').nodes.map((node) => node.host);

  it('reads a valid change at the next look', () => {
    expect(hosts()[2]).toBe('10.0.0.12');
    writeFileSync(path, edit(clusterFile, '10.0.0.12', '10.0.0.22'));
    expect(hosts()).toEqual(['10.0.0.10', '10.0.0.11', '10.0.0.22']);
    expect(said).toEqual([]);
  });

  it('keeps the last valid file in force when the file becomes invalid, and says where it is wrong', () => {
    const changed = edit(clusterFile, '10.0.0.12', '10.0.0.22');
    writeFileSync(path, changed);
    tools.readConfiguration('shop');
    writeFileSync(path, edit(edit(changed, '10.0.0.11', '10.0.0.21'), 'id: 2,', 'id: 2, prot: 5433,'));
    expect(hosts()).toEqual(['10.0.0.10', '10.0.0.11', '10.0.0.22']);
    expect(said).toHaveLength(1);
    expect(said[0]).toContain(
      `the last valid cluster file stays in force: ${path}:5: nodes[2].prot is not a known key`,
    );
  });

  it('keeps the last valid file in force when the file is gone, and takes it up when it is back', () => {
    rmSync(path);
    expect(hosts()[2]).toBe('10.0.0.12');
    expect(said).toEqual([expect.stringContaining(`${path}:1: the cluster file cannot be read (ENOENT)`)]);
    writeFileSync(path, edit(clusterFile, '10.0.0.12', '10.0.0.22'));
    expect(hosts()[2]).toBe('10.0.0.22');
    expect(said).toHaveLength(1);
  });

  it('does not take another cluster’s nodes for its own', () => {
    writeFileSync(path, edit(edit(clusterFile, 'shop', 'stock'), '10.0.0.12', '10.0.0.22'));
    expect(tools.readConfiguration('shop').cluster).toBe('shop');
    expect(hosts()[2]).toBe('10.0.0.12');
    expect(said[0]).toBe(`${path} now names cluster stock: the last file for shop stays in force`);
    expect(() => tools.readConfiguration('stock')).toThrow('serves no cluster stock');
  });

  it('leaves a cluster that it does not serve to another worker of the queue', () => {
    const refuse = (): unknown => {
      try {
        return tools.readConfiguration('stock');
      } catch (error) {
        return error;
      }
    };
    expect(refuse()).toMatchObject({
      type: 'Unreachable',
      isFinal: false,
      message: expect.stringContaining('this worker serves no cluster stock') as string,
    });
  });
});

it('asks Temporal for no longer than an activity waits', async () => {
  const deadlines: number[] = [];
  const withDeadline = (deadline: number): Promise<void> => Promise.resolve(void deadlines.push(deadline));
  const { conclude, signalIncident } = createTools([], { connection: { withDeadline } } as unknown as Client, () => 0);
  jest.spyOn(Date, 'now').mockReturnValue(1000);
  await conclude({} as never, {} as never, 9000);
  await signalIncident({} as never, {} as never, 8000);
  jest.restoreAllMocks();
  expect(deadlines).toEqual([10_000, 9000]);
});

describe('ensureSearchAttributes', () => {
  const names = Object.values(searchAttributeNames);
  const keyword = 2;
  const text = 1;

  interface Added {
    readonly namespace: string;
    readonly searchAttributes: Readonly<Record<string, number>>;
  }

  /** The two requests of a connection that the function makes. */
  function makeConnection(known: Readonly<Record<string, number>> | Error, refusal?: Error): [Connection, Added[]] {
    const added: Added[] = [];
    const operatorService = {
      listSearchAttributes: ({ namespace }: { namespace: string }) =>
        known instanceof Error
          ? Promise.reject(known)
          : Promise.resolve({ customAttributes: namespace === 'test' ? known : {} }),
      addSearchAttributes: (request: Added) => {
        added.push(request);
        return refusal ? Promise.reject(refusal) : Promise.resolve({});
      },
    };
    return [{ operatorService } as unknown as Connection, added];
  }
  const allOf = (type: number): Record<string, number> => Object.fromEntries(names.map((name) => [name, type]));

  it('changes nothing when all are there', async () => {
    const [connection, added] = makeConnection({ ...allOf(keyword), Another: text });
    await ensureSearchAttributes(connection, 'test');
    expect(added).toEqual([]);
  });

  it('adds all of them to a new namespace', async () => {
    const [connection, added] = makeConnection({});
    await ensureSearchAttributes(connection, 'test');
    expect(names.length).toBeGreaterThan(1);
    expect(added).toEqual([{ namespace: 'test', searchAttributes: allOf(keyword) }]);
  });

  it('adds only what is missing or of another type', async () => {
    const [connection, added] = makeConnection({ ...allOf(keyword), [names[0]!]: text });
    await ensureSearchAttributes(connection, 'test');
    expect(added).toEqual([{ namespace: 'test', searchAttributes: { [names[0]!]: keyword } }]);
  });

  it('names the commands when it may not add them', async () => {
    const present = names[0]!;
    const [connection] = makeConnection({ [present]: keyword }, new Error('7 PERMISSION_DENIED: no'));
    const error = await ensureSearchAttributes(connection, 'test').catch((caught: unknown) => caught as Error);
    const commands = names
      .slice(1)
      .map((name) => `temporal operator search-attribute create -n test --name ${name} --type Keyword`);
    expect(error).toMatchObject({
      message: `namespace test lacks search attributes and they could not be registered (7 PERMISSION_DENIED: no); run: ${commands.join('; ')}`,
    });
  });

  it('says how to get a namespace that is not there, and adds nothing', async () => {
    const notFound = Object.assign(new Error('5 NOT_FOUND: Namespace test is not found.'), { code: 5 });
    const [connection, added] = makeConnection(notFound);
    await expect(ensureSearchAttributes(connection, 'test')).rejects.toThrow(
      /^Temporal has no namespace test: .*temporal operator namespace create -n test/,
    );
    expect(added).toEqual([]);
  });

  it('passes on what it cannot explain', async () => {
    const silent = Object.assign(new Error('14 UNAVAILABLE'), { code: 14 });
    await expect(ensureSearchAttributes(makeConnection(silent)[0], 'test')).rejects.toBe(silent);
  });
});
