/** What browsers run for `tabs.browser.test.ts`, in pages and in a service worker. */
import { type SyncClient, createSyncClient } from '../../../client/create-sync-client.ts';
import type { EntityType } from '../../../client/entity-type.ts';
import type { Write } from '../../../client/write.ts';
import { failure } from '../../../net/failure.ts';
import type { Answer, Call, Transport } from '../../../net/transport.ts';
import { importDeviceKey, webCryptoKey } from '../../../net/webcrypto-key.ts';
import { browserTabs } from '../../../tabs/browser-tabs.ts';
import { TABS_CONTRACT } from '../../../testing/tabs-contract.ts';
import type { TabsPageFunctions } from '../../../testing/tabs-page-functions.ts';
import { TABLE_NAMES } from '../../store.ts';
import { openIndexedDbStore } from '../index.ts';

const IDENTITY = { tenantId: 't', userId: 'u', deviceId: 'dev' };
const ENTITIES = { note: {} as EntityType };

/** Of the test, where it has given this page one. */
type Exchange = (call: Omit<Call, 'signal'>) => Promise<Answer<never>>;

const transport: Transport = {
  send: async ({ signal: _own, ...call }) => {
    const { exchange } = globalThis as { exchange?: Exchange };
    return exchange ? exchange(call) : failure('offline', 'no network here');
  },
};

let client: SyncClient<typeof ENTITIES> | undefined;
let last: Write | undefined;

function theClient(): SyncClient<typeof ENTITIES> {
  if (!client) throw new Error('open it first');
  return client;
}

const functions: TabsPageFunctions = {
  runCheck: async (name) => {
    const check = TABS_CONTRACT.find((one) => one.name === name);
    const tabs = browserTabs();
    if (!check || !tabs) throw new Error(`no law is called ${name}, or there are no tabs`);
    await check.run(() => tabs);
  },
  open: async (name) => {
    client = await createSyncClient({
      identity: IDENTITY,
      key: await webCryptoKey(await importDeviceKey(new Uint8Array(32)), IDENTITY),
      store: await openIndexedDbStore({ name }),
      transport,
      entities: ENTITIES,
    });
    await client.entity('note').load();
  },
  start: async () => theClient().start(),
  close: () => theClient().close(),
  put: async (entityId, value) => {
    try {
      last = await theClient().entity('note').put(entityId, { value });
      return last.mutationId;
    } catch (error) {
      return (error as { code: string }).code;
    }
  },
  waitForLast: async () => {
    try {
      return (await last?.wait('seen'))?.status ?? 'nothing';
    } catch (error) {
      return (error as { code: string }).code;
    }
  },
  seen: async () => {
    const rows = theClient().entity('note').list();
    return Object.fromEntries(rows.map(({ id, data }) => [id, data['value']]));
  },
  status: async () => [theClient().status.state, theClient().status.pending],
  rowsLeft: async (name) => {
    const store = await openIndexedDbStore({ name });
    const tables = TABLE_NAMES.filter((table) => table !== 'meta');
    const rows = await Promise.all(tables.map((table) => store.list(table, '')));
    await store.close();
    return rows.flat().length;
  },
  postNonsense: async () => {
    const channel = new BroadcastChannel('sync-client ["t","u","dev"]');
    channel.postMessage({ version: 99, kind: 'nonsense' });
    channel.close();
  },
  registerWorker: async () => {
    await navigator.serviceWorker.register('/page.js');
    await navigator.serviceWorker.ready;
  },
};
Object.assign(globalThis, { tabs: functions });
