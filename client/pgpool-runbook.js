#!/usr/bin/env node
// The installed command: starts the compiled CLI. Plain JavaScript, because it must run before anything is built.
'use strict';

const { existsSync } = require('node:fs');
const { join } = require('node:path');

const entry = join(__dirname, '..', 'dist', 'client', 'cli.js');
if (existsSync(entry)) {
  require(entry)
    .main(process.argv.slice(2))
    .then((exitCode) => {
      process.exitCode = exitCode;
    });
} else {
  process.stderr.write(`pgpool-runbook: ${entry} does not exist: run npm run build\n`);
  process.exitCode = 2;
}
