/** React on `@sync/client`: how the device stands, what became of writes, and conflicts to decide. */
export { SyncProvider, type SyncProviderProps, useSyncClient } from './hooks/sync-provider.tsx';
export type { AnyClient } from './hooks/sync-provider.tsx';
export type { Listed } from './hooks/live-list.ts';
export { useConflicts } from './hooks/use-conflicts.ts';
export { useOutcome } from './hooks/use-outcome.ts';
export { useOutcomes } from './hooks/use-outcomes.ts';
export { type Resolving, useResolving } from './hooks/use-resolving.ts';
export { useSyncStatus } from './hooks/use-sync-status.ts';
export { ConflictInbox, type ConflictInboxProps } from './inbox/conflict-inbox.tsx';
export { ConflictView, type ConflictViewProps } from './conflict/view/conflict-view.tsx';
export type { ServerState } from './conflict/merge/sides.ts';
export { type ConflictTexts, ENGLISH } from './conflict/view/texts.ts';
