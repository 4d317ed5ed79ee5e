import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
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

const ARGS = ['--disable-gpu'];

/** A Chromium without a window. @throws ChromiumMissingError */
export async function launchChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: await resolveChromium(), args: ARGS });
}

/**
 * @param entry path of the TypeScript file that the page runs, with all that it imports
 * @throws ChromiumMissingError
 */
export async function startBrowserRig(entry: string): Promise<BrowserRig> {
  const executablePath = await resolveChromium();
  const script = await bundle(entry);
  const server = createServer((request, response) => {
    const isScript = request.url === '/page.js';
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
    response.end(isScript ? script : PAGE);
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

async function bundle(entry: string): Promise<Uint8Array> {
  const result = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: 'iife',
    target: 'es2023',
    conditions: ['source'],
    logLevel: 'silent',
  });
  const [file] = result.outputFiles;
  if (!file) throw new Error(`esbuild made nothing of ${entry}`);
  return file.contents;
}
