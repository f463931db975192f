// eslint: typescript-eslint's strict typed rules, the design's import fences, and what workflows must not do.
import path from 'node:path';
import js from '@eslint/js';
import tseslint from 'typescript-eslint';
import fences from './test/tidy/fences.js';

const root = import.meta.dirname;

/** Import fences as a rule: a pattern cannot tell which folder a relative path leads to, so it is resolved. */
const importFences = {
  create(context) {
    const file = path.relative(root, context.filename).split(path.sep).join('/');
    const check = (node, isTypeOnly) => {
      if (typeof node.source?.value !== 'string') return;
      const message = fences.explainImport(file, node.source.value, isTypeOnly);
      if (message) context.report({ node, message });
    };
    const hasOnlyTypes = (node) =>
      node.specifiers.length > 0 &&
      node.specifiers.every((specifier) => specifier.importKind === 'type' || specifier.exportKind === 'type');
    return {
      ImportDeclaration: (node) => check(node, node.importKind === 'type' || hasOnlyTypes(node)),
      ExportNamedDeclaration: (node) => check(node, node.exportKind === 'type' || hasOnlyTypes(node)),
      ExportAllDeclaration: (node) => check(node, node.exportKind === 'type'),
      ImportExpression: (node) => check(node, false),
      TSImportType: (node) => check(node, true),
    };
  },
};

const noDefaultExport = { selector: 'ExportDefaultDeclaration, TSExportAssignment', message: 'named exports only' };
const noEnum = { selector: 'TSEnumDeclaration', message: 'use a union of strings' };
const noPlainError = {
  selector: "ThrowStatement > NewExpression[callee.name='Error']",
  message: 'throw ApplicationFailure: a plain Error fails only the workflow task, which is then retried for ever',
};

const nodeGlobals = Object.fromEntries(
  [
    'require',
    'module',
    'exports',
    '__dirname',
    '__filename',
    'process',
    'console',
    'Buffer',
    'URL',
    'fetch',
    'AbortSignal',
  ]
    .concat(['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'setImmediate'])
    .map((name) => [name, 'readonly']),
);

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', 'coverage/'] },
  js.configs.recommended,
  { files: ['**/*.js'], languageOptions: { sourceType: 'commonjs', globals: nodeGlobals } },
  { files: ['lab/setup.js'], languageOptions: { ecmaVersion: 5, sourceType: 'script' } },
  { files: ['**/*.mjs'], languageOptions: { sourceType: 'module', globals: nodeGlobals } },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: root } },
    plugins: { fences: { rules: { imports: importFences } } },
    rules: {
      'fences/imports': 'error',
      'no-restricted-syntax': ['error', noDefaultExport, noEnum],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // An index after a length check or a matched group is certain; `!` says so, a cast or a dead branch would not.
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
  {
    files: ['workflows/**/*.ts'],
    rules: { 'no-restricted-syntax': ['error', noDefaultExport, noEnum, noPlainError] },
  },
);
