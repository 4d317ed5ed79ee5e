/** `@sync/client/indexeddb`: the store in browsers. */
export { keepStorage, openIndexedDbStore } from './indexeddb-store.ts';
export type { IndexedDbStoreOptions } from './indexeddb-store.ts';
export { browserTabs } from '../../tabs/browser-tabs.ts';
