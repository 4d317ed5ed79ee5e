/** Several tabs of a real browser on one store, with a server that is only a model. */
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { BROWSER_START_TIMEOUT_MS, startBrowserRig } from '@sync/browser/testing';
import type { BrowserContext, BrowserRig, Page } from '@sync/browser/testing';
import { SCOPE } from '../local/testing/crashing-device.ts';
import { ModelServer } from '../local/testing/model-server.ts';
import { failure } from '../net/failure.ts';
import type { Call } from '../net/transport.ts';
import { TABS_CONTRACT } from '../testing/tabs-contract.ts';
import type { TabsPageFunctions } from '../testing/tabs-page-functions.ts';
import { ModelTransport } from './testing/model-transport.ts';

jest.setTimeout(180_000);

const STORE = 'shared';

let rig: BrowserRig;
beforeAll(async () => {
  rig = await startBrowserRig(join(import.meta.dirname, '../storage/indexeddb/testing/tabs-page.ts'));
}, BROWSER_START_TIMEOUT_MS);
afterAll(() => rig.close());

/** A page, or a worker. */
type Place = Pick<Page, 'evaluate'>;

function call<Name extends keyof TabsPageFunctions>(
  place: Place,
  name: Name,
  ...args: Parameters<TabsPageFunctions[Name]>
): ReturnType<TabsPageFunctions[Name]> {
  const answer = place.evaluate(`tabs.${name}(...${JSON.stringify(args)})`);
  return answer as ReturnType<TabsPageFunctions[Name]>;
}

let context: BrowserContext;
let transport: ModelTransport;
/** Which page has sent what. */
let sent: { readonly page: Page; readonly path: string }[];
beforeEach(async () => {
  context = await rig.browser.newContext();
  transport = new ModelTransport(new ModelServer(SCOPE));
  sent = [];
});
afterEach(() => context.close());

async function openTab(): Promise<Page> {
  const page = await rig.openPage(context);
  await page.exposeFunction('exchange', (one: Call) => {
    sent.push({ page, path: one.path });
    return transport.send(one);
  });
  await call(page, 'open', STORE);
  return page;
}

/** Waits as long as it takes; where it never comes, the test comes to its time-out. */
async function until(isSo: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 50));
}

async function untilSeen(place: Place, expected: Record<string, unknown>): Promise<void> {
  await until(
    async () => JSON.stringify(sorted(await call(place, 'seen'))) === JSON.stringify(sorted(expected)),
  );
}

const sorted = (values: Record<string, unknown>) => Object.entries(values).sort();

/** The page that has pushed last. */
const leader = (): Page | undefined => sent.filter(({ path }) => path.endsWith('push')).at(-1)?.page;

it.each(TABS_CONTRACT)('the contract of tabs: $name', async ({ name }) => {
  await expect(call(await rig.openPage(context), 'runCheck', name)).resolves.toBeUndefined();
});

it('what one tab writes is pushed by another, and all see what is written and pulled', async () => {
  const [one, other] = [await openTab(), await openTab()];
  await call(other, 'start');
  await until(async () => (await call(other, 'status'))[0] === 'live');
  await call(one, 'put', 'a', 1);
  await call(other, 'put', 'b', 2);
  transport.server.changeItself('c', { value: 3 });
  transport.news();
  expect(await call(other, 'waitForLast')).toBe('applied');
  for (const page of [one, other]) await untilSeen(page, { a: 1, b: 2, c: 3 });
  expect(new Set(sent.map(({ page }) => page)).size).toBe(1);
  expect(transport.server.applied.length).toBe(2);
});

/**
 * Nothing runs in the page until it is called. A debugger does that; Chromium without a window freezes none
 * of its pages itself, because all of them are in sight.
 */
async function freeze(page: Page): Promise<() => Promise<unknown>> {
  // In the middle of a transaction it would hold up the whole database, which browsers do not let happen.
  await until(async () => (await call(page, 'status'))[1] === 0);
  for (let before = -1; before !== sent.length;) {
    before = sent.length;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  const session = await page.context().newCDPSession(page);
  await session.send('Debugger.enable');
  const paused = new Promise((resolve) => session.once('Debugger.paused', resolve));
  await session.send('Debugger.pause');
  // It stops with whatever runs next.
  void page.evaluate('1').catch(() => undefined);
  await paused;
  return () => session.send('Debugger.resume');
}

describe('a leader that is', () => {
  it.each<readonly [string, (page: Page) => Promise<unknown>]>([
    ['closed', (page) => page.close()],
    ['left', (page) => page.goto('about:blank')],
    [
      'crashed',
      async (page) => {
        const crashed = page.waitForEvent('crash');
        const session = await page.context().newCDPSession(page);
        void session.send('Page.crash').catch(() => undefined);
        await crashed;
      },
    ],
    ['frozen', freeze],
  ])('%s is replaced, and no write is lost or pushed twice', async (_how, end) => {
    const [one, other] = [await openTab(), await openTab()];
    await call(one, 'start');
    await call(one, 'put', 'a', 1);
    expect(await call(one, 'waitForLast')).toBe('applied');
    expect(leader()).toBe(one);
    // One is on its way while it ends.
    await call(other, 'put', 'b', 2);
    await end(one);
    await call(other, 'put', 'c', 3);
    expect(await call(other, 'waitForLast')).toBe('applied');
    await untilSeen(other, { a: 1, b: 2, c: 3 });
    expect(leader()).toBe(other);
    expect(transport.server.applied.length).toBe(3);
  });

  it('frozen for a while follows when it goes on', async () => {
    const [one, other] = [await openTab(), await openTab()];
    await call(one, 'start');
    await call(one, 'put', 'a', 1);
    await call(one, 'waitForLast');
    const thaw = await freeze(one);
    await call(other, 'put', 'b', 2);
    expect(await call(other, 'waitForLast')).toBe('applied');
    await thaw();
    await untilSeen(one, { a: 1, b: 2 });
    await call(one, 'put', 'c', 3);
    expect(await call(one, 'waitForLast')).toBe('applied');
    await untilSeen(other, { a: 1, b: 2, c: 3 });
    expect(leader()).toBe(other);
    expect(transport.server.applied.length).toBe(3);
  });
});

it('a device that is revoked is empty in all tabs, and stores nothing in any', async () => {
  const [one, other] = [await openTab(), await openTab()];
  await call(one, 'start');
  await call(one, 'put', 'a', 1);
  await call(one, 'waitForLast');
  // The write is stored before the device hears of its revocation.
  transport.fail = () => failure('offline', 'no network');
  await call(other, 'put', 'b', 2);
  transport.fail = () => failure('revoked', 'device_revoked');
  expect(await call(other, 'waitForLast')).toBe('not_applied');
  for (const page of [one, other]) {
    await untilSeen(page, {});
    expect(await call(page, 'put', 'c', 3)).toBe('device_revoked');
  }
  expect(await call(one, 'rowsLeft', STORE)).toBe(0);
});

it('a message of another version is no harm', async () => {
  const [one, other] = [await openTab(), await openTab()];
  await call(one, 'start');
  await call(other, 'postNonsense');
  await call(other, 'put', 'a', 1);
  expect(await call(other, 'waitForLast')).toBe('applied');
});

it('a service worker sees what pages write, and they push what it writes', async () => {
  const page = await openTab();
  await call(page, 'start');
  const waiting = context.waitForEvent('serviceworker');
  await call(page, 'registerWorker');
  const worker = await waiting;
  await call(worker, 'open', STORE);
  await call(page, 'put', 'a', 1);
  await untilSeen(worker, { a: 1 });
  await call(worker, 'put', 'b', 2);
  expect(await call(worker, 'waitForLast')).toBe('applied');
  await untilSeen(page, { a: 1, b: 2 });
});
