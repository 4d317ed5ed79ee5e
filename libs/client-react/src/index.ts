/** React on `@sync/client`. */
export { SyncProvider } from './sync-provider.tsx';
