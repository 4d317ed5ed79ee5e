import { useCallback, useMemo, useSyncExternalStore } from 'react';
import { useSyncClient } from '../hooks/sync-provider.tsx';
import { type DocumentView, LOADING, sharedDocument } from './shown-document.ts';

/** What {@link useDocument} answers. */
export interface DocumentInUse extends DocumentView {
  /** Stores what was typed until now; once this has answered, it is durable. @throws as in `OpenDocument` */
  readonly flush: () => Promise<void>;
}

const nothing = (): void => undefined;
const atOnce = async (): Promise<void> => undefined;

/**
 * Opens the Yjs document of an entity for as long as the component is there. Components that name the same
 * document share its `Y.Doc`. When the last one goes, what was typed is stored, and the document is closed.
 * @param entityType with the policy `crdt_yjs`
 */
export function useDocument(entityType: string, entityId: string): DocumentInUse {
  const client = useSyncClient();
  const shared = useMemo(
    () => client && sharedDocument(client, entityType, entityId),
    [client, entityType, entityId],
  );
  const subscribe = useCallback((listener: () => void) => shared?.subscribe(listener) ?? nothing, [shared]);
  const view = useSyncExternalStore(
    subscribe,
    () => shared?.snapshot() ?? LOADING,
    () => LOADING,
  );
  return useMemo(() => ({ ...view, flush: shared?.flush ?? atOnce }), [view, shared]);
}
