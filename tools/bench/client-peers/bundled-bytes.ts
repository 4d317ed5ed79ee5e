import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { TANSTACK } from './packages.ts';

/**
 * What a browser loads for a device, gzipped: an app of which nothing else is there, minified, with the
 * scripts of its workers.
 */
export async function bundledBytes(entry: string): Promise<number> {
  const { outputFiles } = await build({
    entryPoints: [entry],
    ...{ bundle: true, minify: true, write: false, format: 'esm', target: 'es2020' },
    conditions: ['source'],
    alias: { ...TANSTACK.alias },
    logLevel: 'silent',
  });
  const texts = outputFiles.map(({ text }) => text);
  const workers = texts.flatMap((text) => text.match(/opfs-worker-[\w-]+\.js/g) ?? []);
  const scripts = await Promise.all(workers.map((name) => readFile(join(TANSTACK.assets, name))));
  return [...texts, ...scripts].reduce((sum, one) => sum + gzipSync(one, { level: 9 }).length, 0);
}
