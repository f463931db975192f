// Every version that the set-up insists on. Temporal's and Go's are read from temporal-cli/go.mod, where they are pinned.
'use strict';
const fs = require('node:fs');
const path = require('node:path');

const wrapperModule = path.join(__dirname, 'temporal-cli');

const goMod = path.join(wrapperModule, 'go.mod');
const goModLines = fs.readFileSync(goMod, 'utf8').split('\n');

function pinnedVersion(module) {
  const line = goModLines.find((text) => text.replace('require ', '').trim().startsWith(`${module} v`));
  if (!line) throw new Error(`${goMod} does not require ${module}`);
  return line.split(' v')[1].split(' ')[0];
}

/** The oldest Go that builds the module: Go refuses a go.mod whose `go` line is newer than itself (Go Modules Reference, go directive). */
function neededGo() {
  const line = goModLines.find((text) => text.startsWith('go '));
  if (!line) throw new Error(`${goMod} has no go line`);
  return line.slice('go '.length).trim();
}

/** Numbers of a dotted version at the start of the text; [] when there is none. */
function parseVersion(text) {
  const match = /^v?(\d+(?:\.\d+)*)/.exec(text);
  return match ? match[1].split('.').map(Number) : [];
}

/** Is dotted version `version` at least `minimum`? Missing parts count as 0; text without a version is never enough. */
function isAtLeast(version, minimum) {
  const [left, right] = [parseVersion(version), parseVersion(minimum)];
  if (left.length === 0) return false;
  for (let i = 0; i < Math.max(left.length, right.length); i += 1) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

module.exports = {
  minimum: { postgres: '13', pgpool: '4.2', temporal: '1.7', go: neededGo() },
  pinned: { temporal: pinnedVersion('github.com/temporalio/cli'), server: pinnedVersion('go.temporal.io/server') },
  wrapperModule,
  isAtLeast,
};
