// Runs test/simulation/main.ts: each TypeScript file is transformed when it is first required, as the tests do it.
'use strict';
const fs = require('node:fs');
const { transformSync } = require('@swc/core');

const options = {
  configFile: false,
  swcrc: false,
  sourceMaps: 'inline',
  module: { type: 'commonjs' },
  jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
};
require.extensions['.ts'] = (module, filename) => {
  const { code } = transformSync(fs.readFileSync(filename, 'utf8'), { ...options, filename });
  module._compile(code, filename);
};
// Without --lab nothing of the lab is loaded.
require(process.argv.some((word) => word.startsWith('--lab')) ? './lab/main.ts' : './main.ts');
