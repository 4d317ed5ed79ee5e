import { fileURLToPath } from 'node:url';
import { type BrowserRig, startBrowserRig } from '@sync/browser/testing';
import type { BrowserContext, Page } from '@sync/browser/testing';
import { build } from 'esbuild';
import type { PageFunctions } from './page.tsx';
import { AFTER_SAVING, type StateName } from './state-names.ts';

const pathOf = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

/** Chromium, with all states of the view in a page. */
export async function startView(): Promise<BrowserRig> {
  return startBrowserRig(pathOf('page.tsx'));
}

/** A page with the stylesheet as an app would have it. */
export async function openPage(rig: BrowserRig, context: BrowserContext): Promise<Page> {
  const page = await rig.openPage(context);
  const { outputFiles } = await build({
    ...{ entryPoints: [pathOf('../styles.css')], bundle: true, write: false, logLevel: 'silent' },
  });
  await page.addStyleTag({ content: outputFiles[0]?.text ?? '' });
  return page;
}

/** Calls a function of the page. */
export async function call<Name extends keyof PageFunctions>(
  page: Page,
  name: Name,
  ...given: Parameters<PageFunctions[Name]>
): Promise<Awaited<ReturnType<PageFunctions[Name]>>> {
  type Functions = Record<string, (...values: unknown[]) => unknown>;
  return page.evaluate(
    ([called, values]) => (globalThis as unknown as { ui: Functions }).ui[called]?.(...values),
    [name as string, given as unknown[]] as const,
  ) as Promise<Awaited<ReturnType<PageFunctions[Name]>>>;
}

/** Shows a state, and saves where it comes about by that. */
export async function show(page: Page, state: StateName): Promise<void> {
  await call(page, 'show', state);
  if (!AFTER_SAVING.includes(state)) return;
  await page.getByRole('button', { name: 'Take all of yours' }).click();
  await page.getByRole('button', { name: 'Save your version' }).click();
  if (state !== 'sending') await page.locator('.sync-notice, .sync-conflict__explanation').first().waitFor();
}
