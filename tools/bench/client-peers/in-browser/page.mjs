/** What Chromium runs for `measure-client-peers.ts`, which calls these functions of `globalThis`. */
import { pageTexts } from '@sync/client/testing/device-work';
import { openBareIdb } from '../bare-idb.mjs';
import { hold, timeColdStart, timeFirstSync, timeWrites } from '../work.ts';
import { open as openRxdb } from './rxdb.mjs';
import { open as openSyncClient } from './sync-client.mjs';
import { open as openTanstack } from './tanstack.mjs';

const DEVICES = {
  'bare-indexeddb': openBareIdb,
  'sync-indexeddb': openSyncClient,
  'rxdb-dexie': openRxdb,
  'tanstack-opfs': openTanstack,
};

let held;

globalThis.peers = {
  sync: (device, entities) => timeFirstSync(DEVICES[device], pageTexts(entities)),
  start: (device, entities) => timeColdStart(DEVICES[device], pageTexts(entities)),
  hold: async (device, entities) => {
    held = await hold(DEVICES[device], pageTexts(entities));
  },
  write: (writes) => timeWrites(held, writes),
};
