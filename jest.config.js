// Jest: three projects in one run. `tidy` reads files only; `unit` runs in parallel; `lab` starts whole clusters, one after another.
// One command, one summary: `npm test`; one file: `npx jest test/path`. --selectProjects takes a list: a path after it is another name.
'use strict';
const fs = require('node:fs');
const path = require('node:path');

// Bundles the workflows once; `tidy` needs no bundle and so does not wait for it.
const globalSetup = path.join(__dirname, 'test', 'global-setup.ts');

const common = {
  rootDir: __dirname,
  testEnvironment: 'node',
  // Not in the directory for temporary files, where nothing of ours may stay.
  cacheDirectory: path.join(__dirname, 'node_modules', '.cache', 'jest'),
  // A dynamic import names the compiled file; here it is still TypeScript.
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
        module: { type: 'commonjs' },
        sourceMaps: 'inline',
      },
    ],
  },
  testPathIgnorePatterns: ['<rootDir>/node_modules/', '<rootDir>/dist/'],
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
};
const prepared = fs.existsSync(globalSetup) ? { ...common, globalSetup } : common;

module.exports = {
  // More than the cores: half of their time these tests wait for servers, timers and each other.
  maxWorkers: 3,
  // Real servers start and fail over in these tests, on machines with two busy cores. Not per project: Jest ignores it there.
  testTimeout: 240_000,
  projects: [
    { ...common, displayName: 'tidy', testMatch: ['<rootDir>/test/tidy.test.ts', '<rootDir>/test/tidy/**/*.test.ts'] },
    {
      ...prepared,
      displayName: 'unit',
      testMatch: ['<rootDir>/test/**/*.test.ts'],
      testPathIgnorePatterns: [
        ...common.testPathIgnorePatterns,
        '<rootDir>/test/tidy',
        '<rootDir>/test/lab/scenarios/',
        '<rootDir>/test/bench/harness.test.ts',
      ],
    },
    {
      ...prepared,
      displayName: 'lab',
      runner: '<rootDir>/test/lab/serial-runner.js',
      testMatch: ['<rootDir>/test/lab/scenarios/**/*.test.ts', '<rootDir>/test/bench/harness.test.ts'],
    },
  ],
};
