// Installs Debian packages without disturbing the machine: no service is started, none is enabled for the next boot,
// no PostgreSQL cluster is created, and the files that ensure this are as they were afterwards.
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { SetupError, findProgram, run, tail } = require('./run.js');
const { withLock } = require('./lock.js');

// invoke-rc.d asks this program before it starts or stops anything; 101 = forbidden (Debian policy, 9.3.3.1).
const denyServices = '#!/bin/sh\n# Temporary, by the set-up of pgpool-runbook.\nexit 101\n';
// postgresql-NN's postinst asks `pg_conftool createcluster.conf show create_main_cluster`, which follows include_dir.
const noMainCluster = '# Temporary, by the set-up of pgpool-runbook.\ncreate_main_cluster = false\n';
const includeLine = /^\s*include_dir\b.*createcluster\.d/m;

/** Units that a package would start at the next boot. PostgreSQL's starts clusters, and none is created. */
const unitsOf = { 'openssh-server': ['ssh.service', 'ssh.socket'], pgpool2: ['pgpool2.service'] };

/** Undoes what a killed set-up left behind: the original under its saved name, or only our own file. */
function restoreFile(file, saved, contents) {
  if (fs.existsSync(saved)) fs.renameSync(saved, file);
  else if (fs.existsSync(file) && fs.readFileSync(file, 'utf8') === contents) fs.rmSync(file);
}

/**
 * Holds `contents` at `file` while `work` runs. An existing file is moved aside and back, so that owner, mode and times
 * stay. Directories made for it are removed if they are empty then.
 */
async function withTemporaryFile({ file, contents, mode }, work) {
  const saved = `${file}.before-pgpool-runbook`;
  restoreFile(file, saved, contents);
  const firstMade = fs.mkdirSync(path.dirname(file), { recursive: true });
  if (fs.existsSync(file)) fs.renameSync(file, saved);
  try {
    fs.writeFileSync(file, contents, { mode });
    fs.chmodSync(file, mode);
    return await work();
  } finally {
    restoreFile(file, saved, contents);
    if (firstMade) removeEmptyFolders(path.dirname(file), firstMade);
  }
}

function removeEmptyFolders(from, to) {
  for (let folder = from; folder.length >= to.length; folder = path.dirname(folder)) {
    try {
      fs.rmdirSync(folder);
    } catch {
      return; // Not empty: the package that was installed owns it now.
    }
  }
}

/**
 * The two files that keep the machine quiet. A createcluster.conf that does not read its include_dir gets the line
 * itself.
 */
function quietFiles(root) {
  const conf = path.join(root, 'etc/postgresql-common/createcluster.conf');
  const own = fs.existsSync(conf) ? fs.readFileSync(conf, 'utf8') : null;
  const isPlain = own === null || includeLine.test(own);
  const cluster = isPlain
    ? { file: path.join(root, 'etc/postgresql-common/createcluster.d/pgpool-runbook.conf'), contents: noMainCluster }
    : { file: conf, contents: `${own}\n${noMainCluster}` };
  return [
    { file: path.join(root, 'usr/sbin/policy-rc.d'), contents: denyServices, mode: 0o755 },
    { ...cluster, mode: 0o644 },
  ];
}

async function withQuietMachine(root, work) {
  const [policy, cluster] = quietFiles(root);
  return withTemporaryFile(policy, () => withTemporaryFile(cluster, work));
}

function hasPackageLists(root) {
  const folder = path.join(root, 'var/lib/apt/lists');
  return fs.existsSync(folder) && fs.readdirSync(folder).some((name) => name.includes('_Packages'));
}

/**
 * apt-get is never cut short, because an interrupted dpkg leaves half-configured packages. Ctrl-C takes effect
 * afterwards.
 */
function aptGet(args, directories) {
  const env = {
    ...process.env,
    DEBIAN_FRONTEND: 'noninteractive',
    LC_ALL: 'C.UTF-8',
    PATH: directories.join(path.delimiter),
  };
  const file = findProgram('apt-get', directories) ?? 'apt-get';
  return run(file, ['-q', '-y', '-o', 'DPkg::Lock::Timeout=300', ...args], { env, isUninterruptible: true });
}

async function installOnce(packages, directories) {
  // confold: never a question about a configuration file, and never a change to one.
  const options = ['-o', 'Dpkg::Options::=--force-confold', '--no-install-recommends'];
  return aptGet(['install', ...options, ...packages], directories);
}

async function isInstalled(name, directories) {
  const query = findProgram('dpkg-query', directories) ?? 'dpkg-query';
  const { output } = await run(query, ['-W', '-f', '${Status}', name]);
  return output.startsWith('install ok');
}

/** Disables the new units: an sshd or pgpool on its default port at the next boot would be a surprise. */
async function disableUnits(packages, directories, voice) {
  const systemctl = findProgram('systemctl', directories);
  if (!systemctl) return;
  const disabled = [];
  for (const unit of packages.flatMap((name) => unitsOf[name] ?? [])) {
    if ((await run(systemctl, ['is-enabled', unit])).code !== 0) continue;
    if ((await run(systemctl, ['disable', unit])).code === 0) disabled.push(unit);
  }
  if (disabled.length > 0) voice.sayMore(`left disabled at boot: ${disabled.join(', ')}`);
}

/**
 * Installs these packages; throws with apt-get's message when that fails. Needs root.
 * Options: directories (of programs), voice, root (of the file system, for tests).
 */
async function installPackages(packages, { directories, voice, root = '/' }) {
  const lock = path.join(
    fs.existsSync(path.join(root, 'run')) ? path.join(root, 'run') : root,
    'pgpool-runbook-apt.lock',
  );
  const onWait = (pid) => voice.say(`waiting for another set-up that installs packages (pid ${pid})`);
  await withLock(lock, () => installLocked(packages, { directories, voice, root }), onWait);
}

async function installLocked(packages, { directories, voice, root }) {
  const fresh = [];
  for (const name of packages) if (!(await isInstalled(name, directories))) fresh.push(name);
  voice.say(`apt-get install ${packages.join(' ')} (starts no service, creates no cluster)`);
  await withQuietMachine(root, async () => {
    let result = { code: 1, output: '' };
    if (hasPackageLists(root)) result = await installOnce(packages, directories);
    if (result.code !== 0) {
      const update = await aptGet(['update'], directories);
      result = await installOnce(packages, directories);
      if (result.code !== 0)
        throw aptError(packages, `${update.code === 0 ? '' : `${update.output}\n`}${result.output}`);
    }
  });
  await disableUnits(fresh, directories, voice);
  voice.sayMore('system packages installed');
}

function aptError(packages, output) {
  const again = `apt-get update && apt-get install --no-install-recommends ${packages.join(' ')}`;
  return new SetupError(
    `apt-get could not install ${packages.join(' ')}; it said:\n${tail(output)}\nMend that, or install them yourself: ${again}`,
  );
}

module.exports = { installPackages };
