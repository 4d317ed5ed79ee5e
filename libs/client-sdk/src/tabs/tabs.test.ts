import { expect, describe, it } from '@jest/globals';
import { TabsHub } from '../testing/memory-tabs.ts';
import { TABS_CONTRACT } from '../testing/tabs-contract.ts';
import { browserTabs } from './browser-tabs.ts';
import type { Tabs } from './tabs.ts';

const hub = new TabsHub();
const makers: readonly (readonly [string, () => Tabs | null])[] = [
  ['made by hand', () => hub.open()],
  ['by Web Locks and BroadcastChannel, of Node', browserTabs],
];

describe.each(makers)('tabs %s', (_how, make) => {
  it.each(TABS_CONTRACT)('$name', async ({ run }) => {
    const open = (): Tabs => {
      const tabs = make();
      if (!tabs) throw new Error('This platform has no tabs');
      return tabs;
    };
    await expect(run(open)).resolves.toBeUndefined();
  });
});
