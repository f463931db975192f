// Choosing, building and downloading the Temporal CLI, with fake programs: the real build takes minutes.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createListener, load, modulePath, runProgram, useFolder, writeProgram } from './modules';

const { findTemporal, ensureTemporal, cachedFile } = load('temporal.js');
const { findGo } = load('go.js');
const { minimum, pinned, wrapperModule } = load('versions.js');
const { createProgress } = load('progress.js');
const folder = useFolder();
const bin = (): string => join(folder(), 'bin');
const environment = (more: Record<string, string> = {}): Record<string, string> => ({
  PATH: `${bin()}:/usr/bin:/bin`,
  XDG_CACHE_HOME: join(folder(), 'cache'),
  ...more,
});
const temporal = (version: string): string => `echo 'temporal version ${version} (Server 1.31.2, UI 2.50.1)'`;
const cacheContents = (): string[] => readdirSync(join(folder(), 'cache', 'pgpool-runbook')).sort();

/** A `go` that is recent enough and whose `build` does this in its working directory. */
const writeGo = (build: string): string =>
  writeProgram(
    bin(),
    'go',
    `[ "$1" = env ] && { echo go1.26.4; exit 0; }\necho build >>'${folder()}/builds'\n${build}`,
  );
const goodBuild = `printf '#!/bin/sh\\n%s\\n' "echo temporal version ${pinned.temporal}" >temporal; chmod +x temporal`;

describe('the pin', () => {
  it('is one version of the CLI with the cliext of its commit, both with checksums', () => {
    const module = readFileSync(join(wrapperModule, 'go.mod'), 'utf8');
    const sums = readFileSync(join(wrapperModule, 'go.sum'), 'utf8');
    const cliext = /cliext v0\.0\.0 => github\.com\/temporalio\/cli\/cliext (v\S+)/.exec(module)?.[1] ?? 'none';
    expect(pinned.temporal).toMatch(/^\d+\.\d+\.\d+$/);
    expect(sums).toContain(`github.com/temporalio/cli v${pinned.temporal} h1:`);
    expect(sums).toContain(`github.com/temporalio/cli/cliext ${cliext} h1:`);
  });
});

describe('finding', () => {
  it('takes TEMPORAL_CLI before PATH', () => {
    writeProgram(bin(), 'temporal', temporal('1.9.0'));
    const path = writeProgram(join(folder(), 'own'), 'mine', temporal('1.7.3'));
    expect(findTemporal(environment({ TEMPORAL_CLI: path }))).toEqual({ path, version: '1.7.3' });
  });

  it.each([
    ['is missing', null, /is not an executable file/],
    ['fails', 'exit 1', /--version fails/],
    ['is something else', 'echo hello', /is not the Temporal CLI/],
    ['is too old', temporal('1.6.2'), /version 1\.6\.2, older than 1\.7/],
  ])('refuses a TEMPORAL_CLI that %s, although PATH has a good one', (_title, body, message) => {
    writeProgram(bin(), 'temporal', temporal('1.9.0'));
    const path = join(folder(), 'mine');
    if (body !== null) writeProgram(folder(), 'mine', body);
    const find = (): unknown => findTemporal(environment({ TEMPORAL_CLI: path }));
    expect(find).toThrow(message);
    expect(find).toThrow(expect.objectContaining({ exitCode: 2 }) as Error);
  });

  it('takes PATH before the cache, and the cache when PATH’s is too old', () => {
    const cached = cachedFile(environment());
    writeProgram(dirname(cached), 'temporal', temporal(pinned.temporal));
    expect(findTemporal(environment())).toEqual({ path: cached, version: pinned.temporal });
    writeProgram(bin(), 'temporal', temporal('1.1.0'));
    expect(findTemporal(environment()).path).toBe(cached);
    writeProgram(bin(), 'temporal', temporal('1.7.0'));
    expect(findTemporal(environment()).path).toBe(join(bin(), 'temporal'));
  });

  it('says where it looked', () => {
    expect(findTemporal(environment()).problem).toMatch(/^none in PATH; none in .*temporal-\d/);
  });
});

describe('Go', () => {
  it('is taken from the other folder when PATH’s is too old', () => {
    const path = writeProgram(join(folder(), 'go/bin'), 'go', 'echo go1.99.1');
    writeProgram(bin(), 'go', 'echo go1.19.8');
    expect(findGo({ PATH: bin() }, [join(folder(), 'go/bin')])).toEqual({ path, version: '1.99.1' });
  });

  it('is refused by name when too old', () => {
    const path = writeProgram(bin(), 'go', 'echo go1.19.8');
    expect(findGo({ PATH: bin() }, [])).toEqual({
      problem: `${path} is Go 1.19.8, older than ${minimum.go}`,
      isTooOld: true,
    });
  });
});

describe('getting it', () => {
  it('builds once into the cache from the pinned modules, and leaves nothing else', async () => {
    writeGo(`cp go.mod go.sum '${folder()}'; ${goodBuild}`);
    const { voice } = createListener();
    await ensureTemporal(environment(), voice);
    expect(findTemporal(environment())).toEqual({ path: cachedFile(environment()), version: pinned.temporal });
    expect(cacheContents()).toEqual([`temporal-${pinned.temporal}`]);
    expect(readFileSync(join(folder(), 'go.sum'))).toEqual(readFileSync(join(wrapperModule, 'go.sum')));
    const again = createListener();
    await ensureTemporal(environment(), again.voice);
    expect(again.lines).toEqual([]);
    expect(readFileSync(join(folder(), 'builds'), 'utf8')).toBe('build\n');
  });

  it('builds once for two set-ups at the same time', async () => {
    writeGo(`sleep 0.3; ${goodBuild}`);
    const program = `
      const { createVoice } = require(${JSON.stringify(join(dirname(modulePath('lock.js')), 'run.js'))});
      const { ensureTemporal } = require(${JSON.stringify(modulePath('temporal.js'))});
      ensureTemporal(process.env, createVoice(false));`;
    const both = [1, 2].map(() => runProgram(process.execPath, ['-e', program], { env: environment() }));
    const ended = await Promise.all(both);
    expect(ended.map(({ code }) => code)).toEqual([0, 0]);
    expect(ended.map(({ output }) => output).join('')).toMatch(/waiting for another set-up/);
    expect(readFileSync(join(folder(), 'builds'), 'utf8')).toBe('build\n');
  });

  it('never puts a binary of another version into place', async () => {
    writeGo(`printf '#!/bin/sh\\necho temporal version 1.0.0\\n' >temporal; chmod +x temporal`);
    writeProgram(bin(), 'curl', 'exit 6');
    await expect(ensureTemporal(environment(), createListener().voice)).rejects.toThrow(/missing on this machine/);
    expect(cacheContents()).toEqual([]);
  });

  it('downloads when the build fails, after saying what Go said', async () => {
    writeGo('echo "go: no such host" >&2; exit 1');
    mkdirSync(join(folder(), 'archive'));
    writeProgram(join(folder(), 'archive'), 'temporal', temporal(pinned.temporal));
    const fetch = `for last; do echo "$last" >>'${folder()}/asked'; [ "$before" = -o ] && out=$last; before=$last; done`;
    writeProgram(bin(), 'curl', `${fetch}\ntar -czf "$out" -C '${folder()}/archive' temporal`);
    const { voice, lines } = createListener();
    await ensureTemporal(environment(), voice);
    expect(lines.join('\n')).toContain('go: no such host');
    expect(readFileSync(join(folder(), 'asked'), 'utf8')).toMatch(
      new RegExp(`https://temporal.download/cli/archive/v${pinned.temporal}\\?platform=\\w+&arch=(amd64|arm64)\n`),
    );
    expect(cacheContents()).toEqual([`temporal-${pinned.temporal}`]);
  });

  it('lists what it tried when nothing works, with exit code 2', async () => {
    writeGo('exit 1');
    writeProgram(bin(), 'curl', 'echo "curl: (6) could not resolve" >&2; exit 6');
    const failed = ensureTemporal(environment(), createListener().voice);
    await expect(failed).rejects.toThrow(/download: https:[\s\S]*could not resolve[\s\S]*TEMPORAL_CLI/);
    await expect(failed).rejects.toMatchObject({ exitCode: 2 });
  });

  it('says which cache cannot be made', async () => {
    writeFileSync(join(folder(), 'cache'), 'a file');
    await expect(ensureTemporal(environment(), createListener().voice)).rejects.toThrow(/XDG_CACHE_HOME/);
  });

  it('leaves neither lock nor half a build after Ctrl-C', async () => {
    const run = join(dirname(modulePath('lock.js')), 'run.js');
    writeGo('echo started >&2; exec sleep 25');
    const program = `
      const { catchSignals, createVoice } = require(${JSON.stringify(run)});
      const { ensureTemporal } = require(${JSON.stringify(modulePath('temporal.js'))});
      catchSignals();
      ensureTemporal(process.env, createVoice(false)).catch((error) => (process.exitCode = error.exitCode));`;
    let isSent = false;
    const startedAt = Date.now();
    const { code } = await runProgram(process.execPath, ['-e', program], {
      env: environment(),
      onOutput: (output, pid) => {
        if (isSent || !output.includes('building')) return;
        isSent = true;
        process.kill(pid, 'SIGINT');
      },
    });
    expect(code).toBe(130);
    // Go was stopped, not waited for.
    expect(Date.now() - startedAt).toBeLessThan(20_000);
    expect(cacheContents()).toEqual([]);
  });
});

test('progress says how long and what, in lines', () => {
  jest.useFakeTimers();
  try {
    const { voice, lines } = createListener();
    const progress = createProgress(voice, 12_000);
    progress.note('go: downloading example.org/x v1.0.0');
    jest.advanceTimersByTime(12_000);
    progress.note('example.org/x/y');
    jest.advanceTimersByTime(60_000);
    progress.stop();
    jest.advanceTimersByTime(60_000);
    expect(lines).toHaveLength(6);
    expect(lines[0]).toBe('12 s: downloading example.org/x v1.0.0');
    expect(lines[5]).toBe('1 min 12 s: 1 packages compiled, last example.org/x/y');
  } finally {
    jest.useRealTimers();
  }
});
