import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { resolveChromium } from './resolve-chromium.ts';

/** The first start on a machine may have to fetch the browser. */
export const BROWSER_START_TIMEOUT_MS = 15 * 60_000;

/** A Chromium, and a server on the loopback interface that has one page. */
export interface BrowserRig {
  readonly browser: Browser;
  readonly origin: string;
  /** A page with the bundle in a context, which is one user's profile: tabs of a context share storage. */
  openPage(context: BrowserContext): Promise<Page>;
  /** A browser of its own that keeps its profile in this folder, for what has to outlive a browser. */
  openProfile(folder: string): Promise<BrowserContext>;
  close(): Promise<void>;
}

/** What a page has besides its bundle. */
export interface BrowserRigOptions {
  /** Package name → the folder that is bundled in place of what the workspace has of that name. */
  readonly alias?: Readonly<Record<string, string>>;
  /** A folder whose files are served below `/assets/`, such as scripts of workers. */
  readonly assets?: string;
}

const ARGS = ['--disable-gpu'];

/** A Chromium without a window. @throws ChromiumMissingError */
export async function launchChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: await resolveChromium(), args: ARGS });
}

/**
 * @param entry path of the TypeScript file that the page runs, with all that it imports
 * @throws ChromiumMissingError
 */
export async function startBrowserRig(entry: string, options: BrowserRigOptions = {}): Promise<BrowserRig> {
  const executablePath = await resolveChromium();
  const script = await bundle(entry, options);
  const scriptAt = async (path: string): Promise<Uint8Array | null> => {
    if (path === '/page.js') return script;
    const { assets } = options;
    return assets && path.startsWith('/assets/') ? readFile(join(assets, basename(path))) : null;
  };
  const server = createServer((request, response) => {
    void scriptAt(request.url ?? '').then((found) => {
      response.setHeader('content-type', found ? 'text/javascript' : 'text/html');
      response.end(found ?? PAGE);
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const launch = { executablePath, args: ARGS };
  const browser = await chromium.launch(launch);
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    browser,
    origin,
    openPage: async (context) => {
      const page = await context.newPage();
      await page.goto(origin, { waitUntil: 'load' });
      return page;
    },
    openProfile: (folder) => chromium.launchPersistentContext(folder, launch),
    close: async () => {
      await browser.close();
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

const PAGE =
  '<!doctype html><html lang="en"><meta charset="utf-8"><title>test</title><script src="/page.js"></script>';

async function bundle(entry: string, { alias = {} }: BrowserRigOptions): Promise<Uint8Array> {
  const result = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: 'iife',
    target: 'es2023',
    conditions: ['source'],
    alias: { ...alias },
    // A script that is no module has none; what it loads is where the page is.
    define: { 'import.meta.url': 'location.href' },
    logLevel: 'silent',
  });
  const [file] = result.outputFiles;
  if (!file) throw new Error(`esbuild made nothing of ${entry}`);
  return file.contents;
}
