import { gzipSync } from 'node:zlib';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { build } from 'esbuild';

/**
 * The promised sizes of `@sync/client` without Yjs and TanStack, in bytes gzipped: all that an app of a
 * platform has, written for what its build tools write for unless they are told to do otherwise. Vite's
 * browsers have private fields, which Hermes does not: what stands for them takes 2.8 kB.
 */
const PLATFORMS = [
  ['browsers', 'es2022', 37_500, ['@sync/client', '@sync/client/indexeddb', '@sync/client/webcrypto-key']],
  ['React Native', 'es2020', 40_000, ['@sync/client', '@sync/client/sqlite', '@sync/client/js-key']],
] as const;

interface Bundle {
  readonly text: string;
  readonly gzippedBytes: number;
  /** Files of which something is in it. */
  readonly files: readonly string[];
  /** What it would load besides. */
  readonly loads: readonly string[];
}

/** As an app for browsers would be built, of which these lines are all. */
async function bundle(contents: string, target = 'es2020'): Promise<Bundle> {
  const folder = fileURLToPath(new URL('.', import.meta.url));
  const { outputFiles, metafile, warnings } = await build({
    stdin: { contents, resolveDir: folder, loader: 'ts' },
    absWorkingDir: folder,
    ...{ bundle: true, minify: true, write: false, metafile: true, format: 'esm', logLevel: 'silent' },
    conditions: ['source'],
    target,
    // No Node module is found, in place of being replaced by nothing.
    platform: 'neutral',
    mainFields: ['module', 'main'],
    // What Hermes cannot run, and no tool can write in another way.
    supported: { 'top-level-await': false, 'regexp-set-notation': false, 'import-assertions': false },
  });
  const [output] = Object.values(metafile.outputs);
  const text = outputFiles[0]?.text ?? '';
  expect(warnings).toEqual([]);
  return {
    text,
    gzippedBytes: gzipSync(text, { level: 9 }).length,
    files: Object.entries(output?.inputs ?? {}).flatMap(([path, { bytesInOutput }]) =>
      bytesInOutput > 0 ? [path] : [],
    ),
    loads: output?.imports.map(({ path }) => path) ?? [],
  };
}

describe('the bundle of @sync/client', () => {
  it.each(PLATFORMS)(
    'is small for %s, loads nothing, and validates with no library',
    async (name, target, mostBytes, entries) => {
      const whole = await bundle(entries.map((entry) => `export * from '${entry}';`).join(''), target);
      process.stdout.write(`@sync/client for ${name}, gzipped: ${whole.gzippedBytes} bytes\n`);
      expect(whole.gzippedBytes).toBeLessThanOrEqual(mostBytes);
      expect(whole.loads).toEqual([]);
      expect(whole.files.filter((path) => path.includes('typebox'))).toEqual([]);
      expect(whole.files).toContain('storage/store.ts');
    },
  );

  it('leaves out what an app does not import', async () => {
    const { files } = await bundle(`import { keyOf } from '@sync/client'; console.log(keyOf('a'))`);
    expect(files).toEqual(['storage/store.ts', '<stdin>']);
  });

  it('notices a library that validates, and a Node module', async () => {
    const { files } = await bundle(`export { Problem } from '@sync/protocol'`);
    expect(files.some((path) => path.includes('typebox'))).toBe(true);
    await expect(bundle(`export { createHmac } from 'node:crypto'`)).rejects.toThrow(/node:crypto/);
  });

  it('has what a device needs of the protocol without its schemas', async () => {
    const { files, loads } = await bundle(`export * from '@sync/protocol/device'`);
    expect(files.filter((path) => path.includes('typebox'))).toEqual([]);
    expect(files.some((path) => path.endsWith('http-signature.ts'))).toBe(true);
    expect(loads).toEqual([]);
  });
});
