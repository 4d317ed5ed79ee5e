import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { build, type BuildOptions } from 'esbuild';

/** What Metro would find, in one file. */
const LIKE_METRO: BuildOptions = {
  ...{ bundle: true, platform: 'neutral', target: 'es2022', logLevel: 'silent' },
  mainFields: ['react-native', 'browser', 'module', 'main'],
  conditions: ['react-native'],
};

/**
 * The app of the quickstart as one file in which only libraries of Expo and React are missing.
 * @param folder in which its `App.tsx` and `node_modules` are
 * @returns path of the file
 */
export async function bundleApp(folder: string): Promise<string> {
  const outfile = join(folder, 'App.bundle.js');
  const external = ['react', 'react/*', 'react-native', 'expo-*'];
  await build({
    ...LIKE_METRO,
    ...{ entryPoints: [join(folder, 'App.tsx')], outfile, external, format: 'iife', jsx: 'automatic' },
  });
  await lower(folder, outfile);
  return outfile;
}

/** What a person does with the app, by commands: `add TEXT`, `list`, `sync`. */
const PHONE = `
import { openNotes } from './sync';

async function main() {
  const [command, text] = process.argv.slice(2);
  const { client, notes, add } = await openNotes();
  if (command === 'add') await add(text);
  if (command === 'sync') {
    client.start();
    await new Promise((resolve) => {
      const check = () => {
        if (client.status.state === 'live' && notes.list().every(({ isPending }) => !isPending)) resolve();
      };
      client.onStatus(check);
      notes.subscribe(check);
    });
  }
  for (const { data, isPending } of notes.list()) console.log(isPending ? 'waits' : 'synced', data.text);
  await client.close();
}

main();
`;

const STAND_INS = {
  'expo-sqlite': join(import.meta.dirname, 'expo-sqlite.ts'),
  'expo-secure-store': join(import.meta.dirname, 'expo-secure-store.ts'),
  'expo-crypto': join(import.meta.dirname, 'expo-crypto.ts'),
};

/**
 * A program for Node of the quickstart's `sync.ts`, with stand-ins for the libraries of Expo.
 * @param urls of a platform; they become part of it, as Expo does with `EXPO_PUBLIC_…`
 * @returns path of the file
 */
export async function buildPhone(
  folder: string,
  urls: { readonly gateway: string; readonly identity: string },
): Promise<string> {
  await writeFile(join(folder, 'phone.js'), PHONE);
  const outfile = join(folder, 'phone.bundle.mjs');
  await build({
    ...LIKE_METRO,
    ...{ entryPoints: [join(folder, 'phone.js')], outfile, external: ['node:*'], format: 'esm' },
    alias: STAND_INS,
    define: {
      'process.env.EXPO_PUBLIC_GATEWAY': JSON.stringify(urls.gateway),
      'process.env.EXPO_PUBLIC_IDENTITY': JSON.stringify(urls.identity),
    },
  });
  await lower(folder, outfile);
  return outfile;
}

interface Babel {
  transformFileAsync(path: string, options: object): Promise<{ readonly code: string }>;
}

/** Writes a file in the way that React Native’s own preset does, for the Hermes of its version. */
async function lower(folder: string, path: string): Promise<void> {
  const require = createRequire(join(folder, 'package.json'));
  const babel = require('@babel/core') as Babel;
  const preset = [
    '@react-native/babel-preset',
    { disableImportExportTransform: true, enableBabelRuntime: false },
  ];
  const settings = { babelrc: false, configFile: false, compact: false, cwd: folder };
  const { code } = await babel.transformFileAsync(path, { ...settings, presets: [preset] });
  await writeFile(path, code);
}
