import { gzipSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import { build } from 'esbuild';

/** What is promised, in bytes after gzip, beside React and `@sync/client`. */
const MAX_BYTES = { whole: 14_000, hooks: 2_500, styles: 3_000 };

/** As an app would be built that has these lines and those two libraries already. */
async function gzippedBytes(contents: string, loader: 'ts' | 'css'): Promise<number> {
  const { outputFiles } = await build({
    stdin: { contents, loader, resolveDir: import.meta.dirname },
    ...{ bundle: true, minify: true, write: false, format: 'esm', target: 'es2022', logLevel: 'silent' },
    ...{ conditions: ['source'], external: ['react', 'react/jsx-runtime', '@sync/client'] },
  });
  return gzipSync(outputFiles[0]?.contents ?? '', { level: 9 }).length;
}

describe('the bundle of @sync/client-react', () => {
  it('is small, and for who takes only hooks smaller', async () => {
    const whole = await gzippedBytes(`export * from '@sync/client-react'`, 'ts');
    const hooks = await gzippedBytes(
      `export { SyncProvider, useConflicts, useOutcome, useSyncStatus } from '@sync/client-react'`,
      'ts',
    );
    const styles = await gzippedBytes(`@import '@sync/client-react/styles.css'`, 'css');
    process.stdout.write(`@sync/client-react, gzipped: ${JSON.stringify({ whole, hooks, styles })}\n`);
    expect(whole).toBeLessThanOrEqual(MAX_BYTES.whole);
    expect(hooks).toBeLessThanOrEqual(MAX_BYTES.hooks);
    expect(styles).toBeLessThanOrEqual(MAX_BYTES.styles);
    // Nothing of it is empty because it was not found.
    expect(Math.min(hooks, styles)).toBeGreaterThan(500);
  });

  it('loads Yjs for who takes documents, and for nobody else', async () => {
    const isLoaded = async (entry: string): Promise<boolean> => {
      const { metafile } = await build({
        stdin: { contents: `export * from '${entry}'`, resolveDir: import.meta.dirname },
        ...{ bundle: true, write: false, metafile: true, format: 'esm', logLevel: 'silent' },
        ...{ conditions: ['source'], external: ['react', 'react/jsx-runtime'] },
      });
      return Object.keys(metafile.inputs).some((path) => path.includes('/yjs/'));
    };
    expect(await isLoaded('@sync/client-react/yjs')).toBe(true);
    expect(await isLoaded('@sync/client-react')).toBe(false);
  });
});
