import type { Entity, EntitySet } from '@sync/client';
import { type SyncConfig, deepEquals } from '@tanstack/db';

/**
 * Shows in a collection what the device shows, as soon as it was read from the store: an app starts without
 * a network. `client.status.scopes` says whether a first sync goes on. There is no `truncate`: what is held
 * stays while a scope begins anew, and each change comes as the rows that look different.
 */
export function feedRows<Row extends object>(
  entities: EntitySet<object>,
  scope: string | undefined,
  toRow: (entity: Entity<object>) => Row,
): SyncConfig<Row, string> {
  return {
    rowUpdateMode: 'full',
    sync: ({ begin, write, commit, markReady, markError }) => {
      /** The rows of the collection by key, without what is optimistic in it. */
      const held = new Map<string, Row>();
      let stop: (() => void) | null = null;
      let isOver = false;
      const show = (ids: Iterable<string>): void => {
        begin();
        for (const key of ids) {
          const entity = entities.get(key);
          const before = held.get(key);
          if (!entity || (scope !== undefined && entity.scope !== scope)) {
            if (held.delete(key)) write({ type: 'delete', key });
            continue;
          }
          const value = toRow(entity);
          // A write that was confirmed looks as before.
          if (before && deepEquals(before, value)) continue;
          write({ type: before ? 'update' : 'insert', value });
          held.set(key, value);
        }
        void commit();
      };
      const start = (): void => {
        if (isOver) return;
        stop = entities.subscribe(show);
        show(entities.list().map(({ id }) => id));
        markReady();
      };
      void entities.load().then(start).catch(markError);
      return () => {
        isOver = true;
        stop?.();
      };
    },
  };
}
