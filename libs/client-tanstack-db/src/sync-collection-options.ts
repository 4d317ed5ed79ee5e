/**
 * A collection of TanStack DB whose rows are what `@sync/client` shows of an entity type.
 *
 * **Who is optimistic: the SDK, and TanStack only until a write is stored.** A handler's promise ends when
 * its mutations are durable on the device (`stored`), a few milliseconds after the call, offline as well. By
 * then the synced rows have them, because the SDK shows its outbox over the server's state; TanStack applies
 * them and drops its own layer in one step. So nothing is shown twice and nothing flickers, and a restart
 * with a full outbox shows the same. What the server refuses or merges changes the synced rows.
 *
 * The promise does not wait for the server, for two reasons. TanStack applies no synced row of a collection
 * while a handler of it is pending: one write that waits for the network, a slow service or a person would
 * freeze all other rows. And its layer would not survive a restart. `utils.wait(transaction, 'seen')` ends
 * when a pull has brought the mutation. See ADR 0049.
 */
import type { EntitySet, EntityType, EntityTypes, SyncClient } from '@sync/client';
import type { CollectionConfig, InferSchemaOutput } from '@tanstack/db';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { feedRows } from './feed-rows.ts';
import { type Mutation, storeMutation, storeTransaction, waitFor } from './store-mutations.ts';

/** A row where the id of an entity is not in its data: `id` is added, and not sent. */
export type Keyed<Data> = Data & { readonly id: string };
type DataOf<T> = T extends EntityType<infer Data> ? Data : never;
type KeyOf<Row> = (row: Row) => string;

/** What {@link syncCollectionOptions} makes a collection of. */
export interface SyncCollectionOptions<Types extends EntityTypes, Name extends keyof Types & string> {
  /** Started or not. Nothing is read from its store before the collection is used. */
  readonly client: SyncClient<Types>;
  readonly entityType: Name;
  /** Only its entities, and where new ones go; all scopes where nothing is said. */
  readonly scope?: string;
}

/** What a collection has as its `utils`. */
export interface SyncCollectionUtils extends Record<string, unknown> {
  /** Waits until the writes of a transaction have come as far as a tier. */
  readonly wait: typeof waitFor;
  /** What did not simply come to stand, oldest first, until `client.dismiss`. */
  readonly outcomes: SyncClient<EntityTypes>['outcomes'];
  /** Of this collection's entities, as they were pulled. */
  readonly conflicts: SyncClient<EntityTypes>['conflicts'];
  /** Keys of rows with a change in them that no pull has confirmed. `$hasPendingWrites` ends before. */
  readonly pending: () => string[];
  /** @internal For {@link storeTransaction}. */
  readonly store: (mutation: Mutation) => Promise<unknown>;
}

type Config<Row extends object, Schema extends StandardSchemaV1 = never> = Omit<
  CollectionConfig<Row, string, Schema, SyncCollectionUtils>,
  'utils' | 'schema'
> & { readonly utils: SyncCollectionUtils };

/**
 * For `createCollection`. `insert` becomes a put, `update` a patch with the fields that changed, `delete` a
 * delete; `metadata` of a mutation may be `WriteOptions` of the SDK. Give `getKey` where the id of an entity
 * stands in its data; it has to be the entity's id. A `schema` checks rows before they are seen; what it
 * makes of them has to be JSON.
 * @throws SyncError `entity_type_unknown`
 */
export function syncCollectionOptions<
  T extends EntityTypes,
  N extends keyof T & string,
  S extends StandardSchemaV1,
>(
  options: SyncCollectionOptions<T, N> & { schema: S; getKey?: KeyOf<InferSchemaOutput<S>> },
): Config<InferSchemaOutput<S>, S> & { schema: S };
export function syncCollectionOptions<T extends EntityTypes, N extends keyof T & string>(
  options: SyncCollectionOptions<T, N> & { schema?: never; getKey: KeyOf<DataOf<T[N]>> },
): Config<DataOf<T[N]>> & { schema?: never };
export function syncCollectionOptions<T extends EntityTypes, N extends keyof T & string>(
  options: SyncCollectionOptions<T, N> & { schema?: never; getKey?: never },
): Config<Keyed<DataOf<T[N]>>> & { schema?: never };
export function syncCollectionOptions(
  options: SyncCollectionOptions<EntityTypes, string> & { schema?: StandardSchemaV1; getKey?: KeyOf<never> },
): object {
  const { client, entityType, scope, schema, getKey } = options;
  const entities: EntitySet<object> = client.entity(entityType);
  const inScope = scope === undefined ? {} : { scope };
  const isHere = (each: { entityType: string; scope: string } | null): boolean =>
    each?.entityType === entityType && (scope === undefined || each.scope === scope);
  const utils: SyncCollectionUtils = {
    wait: waitFor,
    outcomes: async () => (await client.outcomes()).filter(({ mutation }) => isHere(mutation)),
    conflicts: async () => (await client.conflicts()).filter(isHere),
    pending: () => entities.list(inScope).flatMap(({ id, isPending }) => (isPending ? [id] : [])),
    store: (mutation) => storeMutation(entities, mutation, inScope, getKey ? (row) => row : withoutId),
  };
  return {
    ...(schema ? { schema } : {}),
    getKey: getKey ?? (({ id }: Keyed<object>) => id),
    sync: feedRows<object>(entities, scope, ({ id, data }) => (getKey ? data : { ...data, id })),
    ...{ onInsert: storeTransaction, onUpdate: storeTransaction, onDelete: storeTransaction },
    utils,
  } satisfies Omit<Config<object>, 'getKey'> & { getKey: unknown };
}

const withoutId = ({ id: _key, ...data }: Partial<Keyed<object>>): object => data;
