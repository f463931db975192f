// The package of `npm pack`: the compiled product with its documents, and nothing of the lab, the tests or the
// compiler.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(__dirname, '..');

test('the package holds the product, the changelog and the documents, and nothing else', () => {
  const pack = ['pack', '--dry-run', '--json', '--ignore-scripts'];
  const [{ files }] = JSON.parse(execFileSync('npm', pack, { cwd: root, encoding: 'utf8' })) as [
    { files: { path: string }[] },
  ];
  const paths = files.map(({ path }) => path);
  expect(paths).toEqual(
    expect.arrayContaining([
      'CHANGELOG.md',
      'README.md',
      'LICENSE',
      'package.json',
      'client/hook.sh',
      'client/pgpool-runbook.js',
    ]),
  );
  const compiled = ['client/cli.js', 'worker/main.js', 'workflow-bundle.js', 'activities/io/host/sh/look.sh'];
  for (const file of compiled) expect(paths).toContain(`dist/${file}`);
  const strange = /tsbuildinfo|\/sh\/lib\/|^dist\/(lab|bench|test)\/|^(lab|bench|test)\/|\.ts$/;
  expect(paths.filter((path) => strange.test(path))).toEqual([]);
});

test('packing builds first', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  expect(scripts['prepack']).toBe('npm run build');
});
