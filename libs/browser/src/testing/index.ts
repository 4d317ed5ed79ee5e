/** `@sync/browser/testing`: pages of our own in a real Chromium. */
export { BROWSER_START_TIMEOUT_MS, launchChromium, startBrowserRig } from './browser-rig.ts';
export type { BrowserRig, BrowserRigOptions } from './browser-rig.ts';
export type { Browser, BrowserContext, Page } from 'playwright-core';
