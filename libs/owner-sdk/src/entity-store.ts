import type { Tx } from '@sync/postgres';

/** The data of an entity: a JSON object of the service's own making. */
export type EntityData = Readonly<Record<string, unknown>>;

/** One row to write. `json` is `data` as text, made once for the event and good for the table as well. */
export type StoredRow = (
  | { readonly entityId: string; readonly data: EntityData; readonly json: string }
  | { readonly entityId: string; readonly data: null; readonly json: null }
) & {
  /**
   * Of all rows of a call, or none: nobody has written these entities before, as far as anybody looked. A
   * plain INSERT will do: where it fails with `unique_violation`, `store` is called again, without this.
   */
  readonly isNew?: boolean;
};

/** Where a service keeps entities of one type. Both work on a whole batch: one statement each. */
export interface EntityStore {
  /**
   * Reads entities inside the caller's transaction (`app.tenant` is set).
   * @returns what exists, by entity id
   */
  load(tx: Tx, tenantId: string, entityIds: readonly string[]): Promise<ReadonlyMap<string, EntityData>>;
  /** Writes entities, `data: null` deletes; ids are distinct. An entity may or may not exist. */
  store(tx: Tx, tenantId: string, rows: readonly StoredRow[]): Promise<void>;
}
