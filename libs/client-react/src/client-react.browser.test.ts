import { createRequire } from 'node:module';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { BROWSER_START_TIMEOUT_MS } from '@sync/browser/testing';
import type { BrowserContext, BrowserRig, Page } from '@sync/browser/testing';
import type axe from 'axe-core';
import { CONFLICT_PAGE, bundleGuide } from './testing/guide-page.ts';
import { FIELDS } from './conflict/testing/example-records.ts';
import { call, openPage, show, startView } from './testing/open-view.ts';
import type { PageFunctions } from './testing/page.tsx';
import { STATE_NAMES } from './testing/state-names.ts';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

let rig: BrowserRig;
let context: BrowserContext;
let page: Page;
let problems: string[];

beforeAll(async () => {
  rig = await startView();
  context = await rig.browser.newContext();
}, BROWSER_START_TIMEOUT_MS);
afterAll(async () => rig.close());
beforeEach(async () => {
  problems = [];
  page = await openPage(rig, context);
  page.setDefaultTimeout(8_000);
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });
  page.on('pageerror', (error) => problems.push(error.message));
});
afterEach(async () => {
  await page.close();
  // React says here what was rendered wrongly.
  expect(problems).toEqual([]);
});

const button = (name: string) => page.getByRole('button', { name, exact: true });
const field = (name: string) => page.getByRole('group', { name });
/** As with a mouse: the label lies over the whole version. */
const choose = (group: ReturnType<typeof field>, version: string) =>
  group.locator('label', { hasText: version }).click();
const save = () => page.locator('.sync-button--main');
const decided = () =>
  page.locator('.sync-conflict[data-status=resolved] .sync-conflict__explanation').waitFor();
const text = async (selector: string) => page.locator(selector).first().innerText();

/** What axe finds, by rule and place. */
async function violations(): Promise<string[]> {
  const { violations: found } = await page.evaluate(async () => {
    const { axe: checker } = globalThis as unknown as { axe: typeof axe };
    // A page of an app has a heading of its own above the view.
    return checker.run(document, { rules: { 'page-has-heading-one': { enabled: false } } });
  });
  return found.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 160)}`));
}

describe('every state', () => {
  it.each(['light', 'dark'] as const)(
    'has nothing that axe finds, in %s, and fits a phone',
    async (colorScheme) => {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.setViewportSize({ width: 360, height: 800 });
      await page.addScriptTag({ path: AXE });
      await page.addStyleTag({
        content: 'body { background: light-dark(white, black); color-scheme: light dark }',
      });
      const found: Record<string, unknown> = {};
      for (const state of STATE_NAMES) {
        await show(page, state);
        const wide = await page.evaluate('document.documentElement.scrollWidth');
        const bad = await violations();
        if (bad.length > 0 || wide !== 360) found[state] = { wide, bad };
      }
      for (const how of ['none', 'loading', 'one'] as const) {
        await call(page, 'inbox', how);
        await page.locator(how === 'one' ? '.sync-conflict' : `.sync-message[data-kind='${how}']`).waitFor();
        const bad = await violations();
        if (bad.length > 0) found[how] = bad;
      }
      expect(found).toEqual({});
      // It would have found something.
      await page.addStyleTag({ content: '.sync-message, .sync-conflict * { color: #999 !important }' });
      expect((await violations()).some((each) => each.startsWith('color-contrast'))).toBe(true);
    },
  );
});

describe('a person', () => {
  const focused = async () =>
    page.evaluate('document.activeElement?.labels?.[0]?.innerText ?? document.activeElement?.innerText');
  const press = async (...keys: string[]) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  const goTo = async (...names: string[]) => {
    for (let left = 40; left > 0 && !names.includes(String(await focused())); left -= 1) await press('Tab');
    expect(names).toContain(await focused());
  };

  it('decides a conflict with the keyboard alone, and the server has exactly that', async () => {
    await call(page, 'inbox', 'one');
    await page.getByRole('heading', { name: 'Two versions of n1' }).waitFor();
    await page.getByText('Changed on both sides').nth(1).waitFor();
    await goTo('On the server');
    await press('ArrowDown');
    expect(await focused()).toBe('Your change');
    expect(await text('.sync-save__progress')).toBe('1 of 2 decided. Choose a version for each field.');
    await press('Tab');
    await goTo('On the server');
    await press('ArrowDown', 'ArrowDown');
    expect(await focused()).toBe('Both changes');
    expect(await field('Text').locator('[data-source=result]').innerText()).toContain('a water bottle');
    await goTo('Save your version', 'Save the result');
    await press('Enter');
    await decided();
    expect(await text('.sync-notice')).toBe('Saved. All your devices get this version.');
    expect(await focused()).toBe('Two versions of n1');
    const { record, note } = await call(page, 'server');
    expect(record?.decision).toMatchObject({ kind: 'merged', data: note });
    expect(note).toMatchObject({ title: 'Class trip, 4b', places: 26, isOpen: true, tags: ['trip', '4b'] });
    expect(note?.['text']).toMatch(/7:30.*a water bottle/);
    expect(note?.['text']).toContain('Thursday at 18:00');
  });

  it('takes all of one side, which is asked for as that side', async () => {
    await call(page, 'inbox', 'one');
    await button('Take all of yours').click();
    expect(await save().innerText()).toBe('Save your version');
    await button('Take all from the server').click();
    await save().click();
    await decided();
    expect((await call(page, 'server')).record?.decision).toEqual({ kind: 'keep_server' });
  });

  it('is told that the entity has moved, and decides again only what that touches', async () => {
    await call(page, 'inbox', 'one');
    await page.getByText('Changed on both sides').nth(1).waitFor();
    await button('Take all of yours').click();
    await call(page, 'moves');
    await page.getByRole('alert').waitFor();
    expect(await save().getAttribute('aria-disabled')).toBe('true');
    expect(await text('.sync-save__progress')).toBe('Look at the new version first.');
    await save().click({ force: true });
    expect((await call(page, 'server')).record?.status).toBe('open');
    await button('Show the new version').click();
    await page.getByText('Decide again: Title.').waitFor();
    expect(await field('Title').locator('[data-source=server]').innerText()).toContain('Trip to the lake');
    expect(await field('Text').getByRole('radio', { name: 'Your change' }).isChecked()).toBe(true);
    await choose(field('Title'), 'On the server');
    await save().click();
    await decided();
    const { record, note } = await call(page, 'server');
    expect(record?.decision?.kind).toBe('merged');
    expect(note).toEqual({ ...FIELDS.base, ...FIELDS.theirs, title: 'Trip to the lake' });
  });

  it('is shown what the server answered where the device has not pulled it yet', async () => {
    await show(page, 'moved');
    await button('Show the new version').click();
    expect(await field('Title').locator('[data-source=server]').innerText()).toContain('Trip to the lake');
    expect(await field('Title').locator('[data-source=result]').getAttribute('data-kind')).toBe('undecided');
  });

  it('keeps what was chosen while there is no network, and saves it afterwards', async () => {
    await call(page, 'inbox', 'one');
    await page.locator('.sync-conflict').waitFor();
    await call(page, 'network', false);
    await page.locator('.sync-notice[data-kind=offline]').waitFor();
    await button('Take all of yours').click();
    expect(await save().getAttribute('aria-disabled')).toBe('true');
    await call(page, 'network', true);
    await page.locator('.sync-save__progress', { hasText: 'Everything is decided' }).waitFor();
    await save().click();
    await decided();
    expect((await call(page, 'server')).record?.decision?.kind).toBe('keep_client');
    expect((await call(page, 'server')).note).toEqual({ ...FIELDS.base, ...FIELDS.theirs });
  });

  it('is told why its owner refuses it, and that it is open still', async () => {
    await call(page, 'inbox', 'one');
    await button('Take all of yours').click();
    await call(page, 'refuse');
    await save().click();
    await page.getByRole('alert').filter({ hasText: 'There are 25 places.' }).waitFor();
    expect(await save().getAttribute('aria-disabled')).toBe('false');
    expect((await call(page, 'server')).record?.status).toBe('open');
  });

  it('sees that it was decided on another device while it was open', async () => {
    await call(page, 'inbox', 'one');
    await button('Take all of yours').click();
    await call(page, 'decidedOnTablet');
    await decided();
    expect(await text('.sync-conflict__explanation')).toMatch(
      /The server’s version was kept .* on device tablet/,
    );
    expect(await page.locator('.sync-save').count()).toBe(0);
    await show(page, 'elsewhere');
    expect(await text('.sync-status')).toBe('Decided');
  });

  it('can try a change again that a document refused, before all else, and only such a change', async () => {
    const offered: Record<string, unknown> = {};
    const states = ['document', 'documentNotCompared', 'documentRefused', 'documentRefusedDecided'] as const;
    for (const state of states) {
      await show(page, state);
      const blocks = await page.locator('.sync-field').count();
      offered[state] = { buttons: await page.locator('.sync-save button').allInnerTexts(), blocks };
    }
    expect(offered).toEqual({
      document: { buttons: ['It is fine as it is now'], blocks: 1 },
      documentNotCompared: { buttons: ['It is fine as it is now'], blocks: 0 },
      documentRefused: { buttons: ['Try your change again', 'Give your change up'], blocks: 0 },
      documentRefusedDecided: { buttons: [], blocks: 0 },
    });
    await show(page, 'documentRefused');
    expect(await save().innerText()).toBe('Try your change again');
  });

  it('is told of nobody else where a document refused their change', async () => {
    await show(page, 'documentRefused');
    expect(await text('.sync-conflict__title')).toBe('Your change to this lesson was not accepted');
    expect(await text('.sync-conflict__lead')).toMatch(/^You changed it, and the server did not accept/);
    await show(page, 'documentRefusedDecided');
    expect(await text('.sync-conflict__explanation')).toMatch(/^The document was left without your change/);
    await show(page, 'documentRefusedByRule');
    expect(await text('.sync-conflict__explanation')).toMatch(/^It cannot be tried again\./);
    await show(page, 'document');
    expect(await text('.sync-conflict__lead')).toMatch(/^You changed it, and so did somebody else/);
  });

  it('opens a document of which nothing can be compared, if the app can show it', async () => {
    await show(page, 'documentNotCompared');
    expect(await text('.sync-conflict__explanation')).toContain('nothing to compare');
    await button('Open the document').click();
    expect(new URL(page.url()).hash).toBe('#n1');
    // This one's app has no way to.
    await show(page, 'documentRefused');
    expect(await button('Open the document').count()).toBe(0);
  });

  it('writes a value, is told when it is no JSON, and finds it again later', async () => {
    await show(page, 'nested');
    const slots = field('Slots');
    await choose(slots, 'Write it yourself');
    await slots.getByRole('textbox').fill('[1,');
    expect(await slots.locator('.sync-problem').innerText()).toContain('This is not valid JSON yet');
    expect(await text('.sync-save__progress')).toBe('Slots is not valid JSON yet.');
    await choose(slots, 'On the server');
    await choose(slots, 'Write it yourself');
    expect(await slots.getByRole('textbox').inputValue()).toBe('[1,');
    await slots.getByRole('textbox').fill('[]');
    await choose(field('Room'), 'Your change');
    expect(await save().innerText()).toBe('Save the result');
    expect(await save().getAttribute('aria-disabled')).toBe('false');
  });
});

describe('the hooks', () => {
  it('tell each state once, as one object, under StrictMode', async () => {
    await call(page, 'probe');
    const told = async (what: 'statuses' | 'conflicts' | 'outcomes' | 'writes', last: string) => {
      await page.waitForFunction(
        ([name, wanted]) =>
          (globalThis as unknown as { ui: PageFunctions }).ui.seen()[name].at(-1) === wanted,
        [what, last] as const,
      );
      return (await call(page, 'seen'))[what];
    };
    await told('statuses', 'live 0');
    await button('write').click();
    expect(await told('writes', 'seen')).toEqual(expect.arrayContaining(['none', 'stored', 'seen']));
    await button('write refused').click();
    await told('writes', 'accepted failed');
    expect(await told('outcomes', 'ready 1')).toEqual(['loading 0', 'ready 0', 'ready 1']);
    await button('dismiss').click();
    expect((await told('outcomes', 'ready 0')).length).toBe(4);
    await call(page, 'happens');
    expect(await told('conflicts', 'ready open')).toEqual(['loading ', 'ready ', 'ready open']);
    await call(page, 'decidedOnTablet');
    expect((await told('conflicts', 'ready resolved')).length).toBe(4);
  });
});

describe('the guide', () => {
  it('has an app that does what it says', async () => {
    await page.addScriptTag({
      type: 'module',
      content: await bundleGuide('show-conflicts.md', CONFLICT_PAGE),
    });
    await page.getByRole('heading', { name: 'Two versions of Trip to the mountains' }).waitFor();
    await page.getByText('live, 0 to send, 1 to decide').waitFor();
    expect(await field('Seats on the bus').count()).toBe(1);
    await button('Add').click();
    await page.locator('p', { hasText: 'Add seen' }).waitFor();
    await button('Understood').click();
    await button('Take all of yours').click();
    await save().click();
    await page.getByText('live, 0 to send, 0 to decide').waitFor();
    expect(await button('Understood').count()).toBe(0);
  });
});
