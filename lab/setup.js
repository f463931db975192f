// Set-up for `npm run demo`, `npm run lab`, `npm test` and `npm run check`: installs what is missing, or says how to
// get it.
// Exit codes: 0 ready, 1 the sources do not compile, 2 something is missing, 130 interrupted.
'use strict';

// This file is ES5 on purpose: an old Node must get as far as this message. The rest is in setup/.
var needed = [20, 19];

function checkNode() {
  var version = process.versions.node.split('.').map(Number);
  if (version[0] > needed[0] || (version[0] === needed[0] && version[1] >= needed[1])) return;
  var need = 'pgpool-runbook needs Node.js ' + needed.join('.') + ' or newer; ';
  var seen = process.execPath + ' is ' + process.versions.node + '.\n';
  var how =
    'Get one from https://nodejs.org/en/download (or: nvm install 22), put it first in PATH, and run the command again.\n';
  process.stderr.write(need + seen + how);
  process.exit(2);
}

checkNode();

/** Finds the lab's programs; throws an error that lists the missing ones. Installs nothing, needs no network. */
exports.findTools = function findTools(environment) {
  return require('./setup/tools.js').findTools(environment);
};

/** The programs of the Temporal server that benchmarks use, or null. Installs nothing, needs no network. */
exports.findTemporalServer = function findTemporalServer(environment) {
  return require('./setup/temporal-server.js').findTemporalServer(environment);
};

if (require.main === module) require('./setup/main.js').main(process.argv.slice(2));
