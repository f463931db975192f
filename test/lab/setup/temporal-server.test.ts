// Building the Temporal server for the benchmarks, with a fake Go: with it, without it, and when it fails.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createListener, load, useFolder, writeProgram } from './modules';

const { findTemporalServer, ensureTemporalServer } = load('temporal-server.js');
const { pinned } = load('versions.js');
const folder = useFolder();
const bin = (): string => join(folder(), 'bin');
const cache = (): string => join(folder(), 'cache', 'pgpool-runbook');
const environment = (): Record<string, string> => ({
  PATH: `${bin()}:/usr/bin:/bin`,
  XDG_CACHE_HOME: join(folder(), 'cache'),
});

/** A `go` whose `build` writes the packages' names to the file after -o. */
const writeGo = (build: string): string =>
  writeProgram(
    bin(),
    'go',
    `[ "$1" = env ] && { echo go1.26.4; exit 0; }
for each; do [ "$before" = -o ] && out=$each; before=$each; done
echo "$each" >>'${folder()}/builds'
${build}`,
  );

it('builds both programs once, and leaves nothing else', async () => {
  writeGo('echo "#!/bin/sh" >"$out"; chmod +x "$out"');
  await ensureTemporalServer(environment(), createListener().voice);
  const made = join(cache(), `temporal-server-${pinned.server}`);
  expect(findTemporalServer(environment())).toEqual({
    server: join(made, 'temporal-server'),
    sqlTool: join(made, 'temporal-sql-tool'),
  });
  expect(readdirSync(cache())).toEqual([`temporal-server-${pinned.server}`]);
  const again = createListener();
  await ensureTemporalServer(environment(), again.voice);
  expect(again.lines).toEqual([]);
  expect(readFileSync(join(folder(), 'builds'), 'utf8')).toBe(
    'go.temporal.io/server/cmd/server\ngo.temporal.io/server/cmd/tools/sql\n',
  );
});

it.each([
  ['Go fails', 'echo "go: no such host" >&2; exit 1', /go: no such host[\s\S]*what needs it is left out/],
  ['only one program can be built', '[ "$out" = temporal-server ] && >"$out"', /build failed/],
])('goes on without it when %s', async (_title, build, said) => {
  writeGo(build);
  const { voice, lines } = createListener();
  await ensureTemporalServer(environment(), voice);
  expect(lines.join('\n')).toMatch(said);
  expect(findTemporalServer(environment())).toBeNull();
  expect(readdirSync(cache())).toEqual([]);
});
