import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { BROWSER_START_TIMEOUT_MS } from '@sync/browser/testing';
import type { BrowserRig, Page } from '@sync/browser/testing';
import { DOCUMENT_PAGE, bundleGuide } from '../testing/guide-page.ts';
import { startView } from '../testing/open-view.ts';

interface World {
  show(...ids: string[]): void;
  edit(id: string, words: string): void;
  replace(id: string): void;
  textOf(id: string): string;
}

let rig: BrowserRig;
let page: Page;
const problems: string[] = [];

beforeAll(async () => {
  rig = await startView();
  page = await rig.openPage(await rig.browser.newContext());
  page.setDefaultTimeout(20_000);
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });
  page.on('pageerror', (error) => problems.push(error.message));
  await page.addScriptTag({ type: 'module', content: await bundleGuide('build-an-app.md', DOCUMENT_PAGE) });
  await page.waitForFunction(() => 'world' in globalThis);
}, BROWSER_START_TIMEOUT_MS);
afterAll(async () => rig.close());

/** Calls a function of the page. */
function tell<Name extends keyof World>(name: Name, ...given: Parameters<World[Name]>): Promise<unknown> {
  type Functions = Record<string, (...values: unknown[]) => unknown>;
  return page.evaluate(
    ([called, values]) => (globalThis as unknown as { world: Functions }).world[called]?.(...values),
    [name as string, given as unknown[]] as const,
  );
}

const place = (at: number) => page.locator(`#place${at}`);
const shows = (at: number, words: string): Promise<unknown> =>
  page.waitForFunction(
    ([where, wanted]) =>
      document.querySelector<HTMLTextAreaElement>(`#place${where} textarea`)?.value === wanted,
    [at, words] as const,
  );

it('does what the guide shows, under StrictMode and in two places at once', async () => {
  await tell('edit', 'l1', 'one');
  await tell('show', 'l1', 'l1');
  await shows(0, 'one');
  await place(0).locator('textarea').fill('one, typed 🙂');
  // The other place has the same document, at once.
  await shows(1, 'one, typed 🙂');
  await place(0).getByText('Saved').waitFor();
  expect(await tell('textOf', 'l1')).toBe('one, typed 🙂');
  await place(1).locator('textarea').fill('one, typed 🙃');
  await tell('edit', 'l1', 'edited; ');
  await shows(0, 'edited; one, typed 🙃');

  // Another id, before what was typed is stored.
  await tell('show', 'l2');
  await shows(0, '');
  await page.waitForFunction(() => {
    const { world } = globalThis as unknown as { world: World };
    return world.textOf('l1') === 'edited; one, typed 🙃';
  });
  await place(0).locator('textarea').fill('two');
  await place(0).getByText('Saved').waitFor();
  await tell('replace', 'l2');
  await place(0).getByText('Replaced (new_epoch). Before: two').waitFor();
  await shows(0, '');
  await place(0).locator('textarea').fill('two anew');
  await place(0).getByText('Saved').waitFor();
  expect(await tell('textOf', 'l2')).toBe('two anew');

  await tell('show');
  expect(problems).toEqual([]);
}, 120_000);
