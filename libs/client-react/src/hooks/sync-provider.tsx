import type { EntityTypes, SyncClient } from '@sync/client';
import { type ReactNode, createContext, useContext } from 'react';

/** What the hooks use of a client, whatever its entity types are. */
export type AnyClient = Pick<
  SyncClient<EntityTypes>,
  'status' | 'onStatus' | 'outcomes' | 'onOutcomes' | 'conflicts' | 'onConflicts' | 'serverState' | 'resolve'
>;

const Context = createContext<AnyClient | null | undefined>(undefined);

export interface SyncProviderProps {
  /** Null until it is open, and where pages are rendered on a server. */
  readonly client: AnyClient | null;
  readonly children?: ReactNode;
}

/** Gives a client to all hooks below. It neither starts nor closes it: the app does. */
export function SyncProvider({ client, children }: SyncProviderProps) {
  return <Context.Provider value={client}>{children}</Context.Provider>;
}

/**
 * The client of the provider, null until there is one. Name the entity types that it was created with.
 * @throws Error outside of a provider
 */
export function useSyncClient<Types extends EntityTypes = EntityTypes>(): SyncClient<Types> | null {
  return useAnyClient() as SyncClient<Types> | null;
}

/** @throws Error outside of a provider */
export function useAnyClient(): AnyClient | null {
  const client = useContext(Context);
  if (client === undefined) throw new Error('There is no SyncProvider around this component');
  return client;
}
