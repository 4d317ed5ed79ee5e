/**
 * RxDB's replication over protocol v1: the app keeps its database, its queue and its conflict handlers, and
 * gets handlers for `replicateRxCollection`. See ADR 0056.
 */
import { systemClock } from '@sync/client';
import type { ReplicationPullOptions, ReplicationPushOptions, RxCollection } from 'rxdb';
import { Connection, type RxSyncOptions } from './connection.ts';
import type { Replicated, Synced } from './documents.ts';
import { type Checkpoint, DocumentPuller } from './pull-documents.ts';
import { RowPusher } from './push-rows.ts';

/** For `replicateRxCollection`, with the app's `replicationIdentifier`. */
export interface RxHandlers<Doc> {
  readonly collection: RxCollection<Doc>;
  readonly pull: ReplicationPullOptions<Doc, Checkpoint>;
  readonly push: ReplicationPushOptions<Doc>;
}

/** The device, for all its collections. */
export interface RxSync {
  /**
   * The handlers of a collection. Call it for each one before any of them is replicated. Its documents have
   * the id of their entity as primary key, and a field `syncState`.
   */
  handlers<Doc>(collection: RxCollection<Doc>, type: Replicated): RxHandlers<Doc>;
}

/** Replicates collections of one device. A database belongs to one user on one device. */
export function createRxSync(options: RxSyncOptions): RxSync {
  const clock = options.clock ?? systemClock;
  const connection = new Connection({ ...options, clock });
  let pushing: Promise<unknown> = Promise.resolve();
  return {
    handlers: <Doc>(collection: RxCollection<Doc>, type: Replicated): RxHandlers<Doc> => {
      connection.collections.add(type.entityType);
      // Documents are handled as JSON here, whatever the app's type of them is.
      const synced = collection as unknown as RxCollection<Synced>;
      const puller = new DocumentPuller(connection, synced, type);
      const pusher = new RowPusher(connection, synced, type, { ...options, now: () => clock.now() });
      const handlers: Omit<RxHandlers<Synced>, 'collection'> = {
        pull: { handler: async (last, size) => puller.pull(last, size), stream$: connection.news$ },
        push: {
          // RxDB pushes batches side by side; a device pushes one request at a time (PUSH-11).
          handler: async (rows) => {
            const pushed = pushing.then(() => pusher.push(rows));
            pushing = pushed.catch(() => undefined);
            return pushed;
          },
        },
      };
      return { ...(handlers as unknown as RxHandlers<Doc>), collection };
    },
  };
}
