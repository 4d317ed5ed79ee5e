/**
 * `npm run look -w @sync/client-react`: writes a picture of every state of the view to `reports/look`, at the
 * width of a phone and of a desk, light and dark. `-- NAME` draws only states with that in their name.
 */
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { call, openPage, show, startView } from '../src/testing/open-view.ts';
import { STATE_NAMES } from '../src/testing/state-names.ts';

const FOLDER = resolve(import.meta.dirname, '../../../reports/look');
const WIDTHS = [360, 1280];
const [wanted = ''] = process.argv.slice(2);

await mkdir(FOLDER, { recursive: true });
const rig = await startView();
try {
  for (const colorScheme of ['light', 'dark'] as const) {
    const context = await rig.browser.newContext({ colorScheme, reducedMotion: 'reduce' });
    const page = await openPage(rig, context);
    await page.addStyleTag({
      content: 'body { margin: 12px; background: light-dark(#eceff3, #0b0d10); color-scheme: light dark }',
    });
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: 900 });
      const draw = (name: string) =>
        page.screenshot({ path: join(FOLDER, `${name}-${width}-${colorScheme}.png`), fullPage: true });
      for (const state of STATE_NAMES.filter((each) => each.includes(wanted))) {
        await show(page, state);
        await page.mouse.move(0, 0);
        await draw(state);
      }
      for (const how of ['none', 'loading', 'one'] as const) {
        if (!`inbox-${how}`.includes(wanted)) continue;
        await call(page, 'inbox', how);
        await page.locator(how === 'one' ? '.sync-conflict' : `.sync-message[data-kind='${how}']`).waitFor();
        await draw(`inbox-${how}`);
      }
    }
    await context.close();
  }
} finally {
  await rig.close();
}
console.log(FOLDER);
