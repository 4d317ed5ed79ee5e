import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { BROWSER_START_TIMEOUT_MS, startBrowserRig } from '@sync/browser/testing';
import type { BrowserContext, BrowserRig, Page } from '@sync/browser/testing';
import type { PageFunctions } from '../testing/page-functions.ts';
import { STORE_CONTRACT } from '../store-contract/store-contract.ts';

const MIB = 1024 * 1024;
const QUOTA_MIB = 16;

// A renderer alone takes seconds to start where many others work.
jest.setTimeout(180_000);

let rig: BrowserRig;
beforeAll(async () => {
  rig = await startBrowserRig(join(import.meta.dirname, 'indexeddb/testing/page.ts'));
}, BROWSER_START_TIMEOUT_MS);
afterAll(() => rig.close());

function call<Name extends keyof PageFunctions>(
  page: Page,
  name: Name,
  ...args: Parameters<PageFunctions[Name]>
): ReturnType<PageFunctions[Name]> {
  const answer = page.evaluate(`storage.${name}(...${JSON.stringify(args)})`);
  return answer as ReturnType<PageFunctions[Name]>;
}

describe.each([
  ['in IndexedDB', 'runCheck'],
  ['encrypted in IndexedDB', 'runEncryptedCheck'],
] as const)('the contract of storage, %s', (_where, run) => {
  let page: Page;
  beforeAll(async () => {
    page = await rig.openPage(await rig.browser.newContext());
  });
  afterAll(() => page.context().close());

  it.each(STORE_CONTRACT)('$name', async ({ name }) => {
    await expect(call(page, run, name)).resolves.toBeUndefined();
  });
});

let context: BrowserContext;

/** For a describe whose tests have a context each, in which nothing of another's is stored. */
function eachInItsContext(): void {
  beforeEach(async () => {
    context = await rig.browser.newContext();
  });
  afterEach(() => context.close());
}

describe('several tabs', () => {
  eachInItsContext();

  it('raise one counter and lose no step', async () => {
    const tabs = await Promise.all(['one', 'two', 'three'].map(() => rig.openPage(context)));
    await Promise.all(tabs.map((page, n) => call(page, 'count', 'raced', `tab ${n}`, 20)));
    const rows = await call(tabs[0] as Page, 'rowsOf', 'raced');
    expect(rows).toEqual(Array.from({ length: 60 }, (_unused, n) => String(n).padStart(4, '0')));
  });
});

/** @param kill ends the page while it commits */
async function writeAndKill(within: BrowserContext, kill: (page: Page) => Promise<unknown>): Promise<number> {
  let told = 0;
  const page = await rig.openPage(within);
  const { promise: isInTheMiddle, resolve } = Promise.withResolvers<undefined>();
  await page.exposeFunction('tell', (n: number) => {
    told = n;
    if (n % 10 === 5) resolve(undefined);
  });
  const writing = call(page, 'writeUntilKilled', 'killed', 'tell').catch(() => undefined);
  await isInTheMiddle;
  await kill(page);
  await writing;
  return told;
}

describe('a page that ends while it commits', () => {
  eachInItsContext();

  it.each([
    ['closed', (page: Page) => page.close()],
    ['left', (page: Page) => page.goto('about:blank')],
    [
      'crashed',
      async (page: Page) => {
        const crashed = page.waitForEvent('crash');
        const session = await page.context().newCDPSession(page);
        void session.send('Page.crash').catch(() => undefined);
        await crashed;
      },
    ],
  ] as const)('loses nothing when it is %s', async (_how, kill) => {
    const told = await writeAndKill(context, kill);
    const there = await call(await rig.openPage(context), 'assertNothingLost', 'killed', told);
    expect(there).toBeGreaterThanOrEqual(told);
  });

  it('loses nothing when the whole browser is killed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sync-profile-'));
    const profile = await rig.openProfile(folder);
    const ended = new Promise((resolve) => profile.once('close', resolve));
    const told = await writeAndKill(profile, async (page) => {
      const session = await page.context().browser()?.newBrowserCDPSession();
      const { processInfo = [] } = (await session?.send('SystemInfo.getProcessInfo')) ?? {};
      const pid = processInfo.find(({ type }) => type === 'browser')?.id;
      if (pid === undefined) throw new Error('which process is the browser is not known');
      process.kill(pid, 'SIGKILL');
      await ended;
    });
    const again = await rig.openProfile(folder);
    const there = await call(await rig.openPage(again), 'assertNothingLost', 'killed', told);
    expect(there).toBeGreaterThanOrEqual(told);
    await again.close();
    await rm(folder, { recursive: true, force: true });
  });
});

describe('a browser that grants no more room', () => {
  eachInItsContext();

  it('is full, and keeps whole commits only', async () => {
    const page = await rig.openPage(context);
    const session = await context.newCDPSession(page);
    const { origin } = rig;
    await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: QUOTA_MIB * MIB });
    const { stored, failure } = await call(page, 'fill', 'filled', QUOTA_MIB);
    expect(failure).toMatchObject({ code: 'full' });
    expect(stored).toBeGreaterThan(0);
    const rows = await call(page, 'rowsOf', 'filled');
    expect(rows).toHaveLength(stored * 2);
    await session.send('Storage.overrideQuotaForOrigin', { origin });
    expect(await call(page, 'fill', 'filled', QUOTA_MIB)).toEqual({ stored: QUOTA_MIB, failure: null });
  });
});

describe('a database that changes under an open store', () => {
  eachInItsContext();

  it('is outdated once a newer version of the app has lifted it', async () => {
    const failures = await call(await rig.openPage(context), 'liftBehindItsBack', 'lifted');
    expect(failures.map(({ code }) => code)).toEqual(['outdated', 'outdated', 'outdated']);
  });

  it('is begun anew when the user has cleared it', async () => {
    expect(await call(await rig.openPage(context), 'deleteBehindItsBack', 'deleted')).toEqual([0, 1]);
  });

  it('is opened again after the browser has closed the connection', async () => {
    const page = await rig.openPage(context);
    expect([await call(page, 'step', 'held'), await call(page, 'step', 'held')]).toEqual([1, 2]);
    const session = await context.newCDPSession(page);
    // Closes every connection of the origin, as Chromium does when its storage fails, and deletes all.
    await session.send('Storage.clearDataForOrigin', { origin: rig.origin, storageTypes: 'indexeddb' });
    expect([await call(page, 'step', 'held'), await call(page, 'step', 'held')]).toEqual([1, 2]);
  });
});

describe('keepStorage', () => {
  eachInItsContext();

  it('says whether the browser promises to keep it', async () => {
    const page = await rig.openPage(context);
    expect(await call(page, 'keepStorage')).toBe(await page.evaluate('navigator.storage.persisted()'));
  });
});
