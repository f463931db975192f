// Compiles the lab into a directory of its own, for tests that need it as a separate program (dist/ may be missing or old).
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { transformFileSync } from '@swc/core';
import { writeScripts } from '../../activities/io/host/join-scripts';

const root = path.join(__dirname, '..', '..');

/** Returns the path of the compiled lab/main.js. */
export function compileLab(directory: string): string {
  for (const folder of ['lab', 'client', 'domain', 'configuration', 'activities']) {
    const target = path.join(directory, 'dist', folder);
    const names = readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' });
    for (const name of names.filter((file) => file.endsWith('.ts'))) {
      const { code } = transformFileSync(path.join(root, folder, name), {
        configFile: false,
        swcrc: false,
        module: { type: 'commonjs' },
        jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
      });
      mkdirSync(path.dirname(path.join(target, name)), { recursive: true });
      writeFileSync(path.join(target, name.replace(/\.ts$/, '.js')), code);
    }
  }
  const scripts = path.join('activities', 'io', 'host', 'sh');
  writeScripts(path.join(root, scripts), path.join(directory, 'dist', scripts));
  for (const name of ['node_modules', 'package.json', 'package-lock.json', 'client', 'lab']) {
    symlinkSync(path.join(root, name), path.join(directory, name));
  }
  return path.join(directory, 'dist', 'lab', 'main.js');
}
