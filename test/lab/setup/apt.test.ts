// Installing packages with a fake apt-get below a directory of our own: what it finds while it runs, and what is left afterwards.
// The real apt-get would change the machine.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createListener, load, modulePath, runProgram, useFolder, writeProgram } from './modules';

const { installPackages } = load('apt.js');
const folder = useFolder();
const inRoot = (path: string): string => join(folder(), 'root', path);
const bin = (): string => join(folder(), 'bin');
const logFile = (): string => join(folder(), 'log');
const log = (): string => readFileSync(logFile(), 'utf8');

const policyFile = 'usr/sbin/policy-rc.d';
const clusterFile = 'etc/postgresql-common/createcluster.d/pgpool-runbook.conf';
const plainConf = 'etc/postgresql-common/createcluster.conf';

function write(path: string, text: string, mode = 0o644): void {
  mkdirSync(dirname(inRoot(path)), { recursive: true });
  writeFileSync(inRoot(path), text, { mode });
}

/** Logs its last arguments and what the two files say while `install` runs; then does `onInstall`. */
function prepare(onInstall = 'exit 0'): void {
  mkdirSync(inRoot(''), { recursive: true });
  const look = `"${inRoot(policyFile)}"; echo "policy $?"; cat "${inRoot(clusterFile)}" "${inRoot(plainConf)}" 2>/dev/null`;
  const install = `case "$*" in *install*) { ${look}; } >>'${logFile()}'; ${onInstall};; *) echo update >>'${logFile()}';; esac`;
  writeProgram(bin(), 'apt-get', `echo "apt-get $*" >>'${logFile()}'\n${install}`);
  writeProgram(bin(), 'dpkg-query', 'exit 1');
  writeProgram(bin(), 'systemctl', `echo "systemctl $*" >>'${logFile()}'`);
  write('var/lib/apt/lists/example_Packages', '');
}

const install = (names: string[], voice = createListener().voice): Promise<void> =>
  installPackages(names, { directories: [bin(), '/usr/bin', '/bin'], voice, root: inRoot('') });

it('forbids services and the main cluster while apt-get runs, and leaves neither file nor folder', async () => {
  prepare();
  await install(['postgresql']);
  expect(log()).toContain('policy 101\n');
  expect(log()).toContain('create_main_cluster = false');
  expect([existsSync(inRoot('usr')), existsSync(inRoot('etc'))]).toEqual([false, false]);
});

it('asks for nothing, recommends nothing and waits for dpkg’s lock', async () => {
  prepare();
  await install(['curl', 'pgpool2']);
  expect(log()).toMatch(/^apt-get -q -y -o DPkg::Lock::Timeout=\d+ install .*--no-install-recommends curl pgpool2$/m);
});

it('puts an administrator’s own policy back: the same file with the same mode and time', async () => {
  prepare();
  write(policyFile, '#!/bin/sh\nexit 104\n', 0o755);
  const before = statSync(inRoot(policyFile));
  await install(['postgresql']);
  const after = statSync(inRoot(policyFile));
  expect(log()).toContain('policy 101\n');
  expect([after.ino, after.mode, after.mtimeMs]).toEqual([before.ino, before.mode, before.mtimeMs]);
  expect(readdirSync(inRoot('usr/sbin'))).toEqual(['policy-rc.d']);
});

it('puts back a createcluster.conf that reads no folder, after adding its line for the while', async () => {
  prepare();
  write(plainConf, 'ssl = on\n');
  await install(['postgresql']);
  expect(log()).toMatch(/ssl = on\n[^]*create_main_cluster = false/);
  expect(readFileSync(inRoot(plainConf), 'utf8')).toBe('ssl = on\n');
});

it('restores everything when apt-get fails, and says what apt-get said', async () => {
  prepare('echo "E: no space left" >&2; exit 100');
  write(policyFile, 'theirs', 0o755);
  await expect(install(['postgresql'])).rejects.toThrow(/E: no space left[\s\S]*apt-get install .*postgresql/);
  expect(readFileSync(inRoot(policyFile), 'utf8')).toBe('theirs');
  expect(existsSync(inRoot(clusterFile))).toBe(false);
});

it('updates the lists when the first attempt fails, and not when it succeeds', async () => {
  prepare(`[ -e '${folder()}/tried' ] && exit 0; touch '${folder()}/tried'; exit 100`);
  await install(['postgresql']);
  expect(log().match(/^update$/gm)).toHaveLength(1);
});

it('updates the lists first when there are none', async () => {
  prepare();
  rmSync(inRoot('var/lib/apt/lists/example_Packages'));
  await install(['curl']);
  expect(log().indexOf('update')).toBeLessThan(log().indexOf('install'));
});

it('restores what a killed set-up left behind', async () => {
  prepare();
  write(`${policyFile}.before-pgpool-runbook`, 'theirs', 0o755);
  write(policyFile, 'ours, from the killed run', 0o755);
  await install(['curl']);
  expect(readFileSync(inRoot(policyFile), 'utf8')).toBe('theirs');
  expect(readdirSync(inRoot('usr/sbin'))).toEqual(['policy-rc.d']);
});

it('disables at boot what it brought, and not what was installed before', async () => {
  prepare();
  const { voice, lines } = createListener();
  await install(['pgpool2', 'postgresql'], voice);
  expect(log()).toContain('systemctl disable pgpool2.service\n');
  expect(lines).toContain('left disabled at boot: pgpool2.service');
  writeProgram(bin(), 'dpkg-query', "printf 'install ok installed'");
  writeFileSync(logFile(), '');
  await install(['pgpool2']);
  expect(log()).not.toContain('systemctl');
});

it('says nothing of units that were not enabled', async () => {
  prepare();
  writeProgram(bin(), 'systemctl', `[ "$1" = disable ] && echo disabled >>'${logFile()}'; [ "$1" != is-enabled ]`);
  const { voice, lines } = createListener();
  await install(['pgpool2'], voice);
  expect(log()).not.toContain('disabled');
  expect(lines.join('\n')).not.toContain('disabled');
});

it.each(['SIGINT', 'SIGTERM'] as const)('lets apt-get end after %s, then restores and exits 130', async (signal) => {
  prepare(
    `echo running >>'${logFile()}'; echo running; n=0; while [ ! -e '${folder()}/go' ] && [ $n -lt 200 ]; do n=$((n+1)); sleep 0.05; done; echo finished >>'${logFile()}'`,
  );
  const options = { directories: [bin(), '/usr/bin', '/bin'], root: inRoot('') };
  const program = `
    const { catchSignals, createVoice } = require(${JSON.stringify(join(dirname(modulePath('apt.js')), 'run.js'))});
    const { installPackages } = require(${JSON.stringify(modulePath('apt.js'))});
    catchSignals();
    process.on(${JSON.stringify(signal)}, () => require('node:fs').writeFileSync(${JSON.stringify(join(folder(), 'go'))}, ''));
    const { existsSync, readFileSync } = require('node:fs');
    const seen = setInterval(() => {
      if (!existsSync(${JSON.stringify(logFile())}) || !readFileSync(${JSON.stringify(logFile())}, 'utf8').includes('running')) return;
      clearInterval(seen);
      console.log('READY');
    }, 20);
    installPackages(['curl'], { ...${JSON.stringify(options)}, voice: createVoice(true) })
      .catch((error) => { clearInterval(seen); process.exitCode = error.exitCode; });`;
  let isSent = false;
  const { code } = await runProgram(process.execPath, ['-e', program], {
    onOutput: (output, pid) => {
      if (!isSent && output.includes('READY')) {
        isSent = true;
        process.kill(pid, signal);
      }
    },
  });
  expect(code).toBe(130);
  expect(log()).toContain('finished');
  expect(existsSync(inRoot(policyFile))).toBe(false);
  expect(existsSync(inRoot(clusterFile))).toBe(false);
});
