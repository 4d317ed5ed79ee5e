import type { Database } from '@sync/postgres';

/** A document in one scope. */
export interface DocumentAddress {
  readonly tenantId: string;
  readonly scope: string;
  readonly entityType: string;
  readonly entityId: string;
}

/** What a document consisted of when it was read. */
export interface DocumentParts {
  /** The scope's; with `upTo` it tells whether the parts are still there. */
  readonly epoch: string;
  /** Position of the last of them. */
  readonly upTo: string;
  /** Yjs updates in base64, in order; the first is a whole document. */
  readonly updates: readonly string[];
}

type Store = Pick<Database, 'call'>;

const addressOf = ({ tenantId, scope, entityType, entityId }: DocumentAddress): string[] => {
  return [tenantId, scope, entityType, entityId];
};

/**
 * @param maxBytes of them; the rest is for the next time
 * @returns null when there is nothing to put together
 */
export async function readParts(
  database: Store,
  address: DocumentAddress,
  maxBytes: number,
): Promise<DocumentParts | null> {
  const rows = await database.call<{ epoch: string; sequence: string; update: string | null }>(
    'read_document',
    'SELECT * FROM read_document($1, $2, $3, $4, $5)',
    [...addressOf(address), maxBytes],
  );
  const last = rows.at(-1);
  if (rows.length < 2 || last === undefined) return null;
  return { epoch: last.epoch, upTo: last.sequence, updates: rows.map(({ update }) => update ?? '') };
}

/** @returns false when what was read is not there any more, and nothing was changed */
export async function replaceParts(
  database: Store,
  address: DocumentAddress,
  { epoch, upTo }: DocumentParts,
  update: string,
): Promise<boolean> {
  const rows = await database.call<{ done: boolean }>(
    'compact_document',
    'SELECT compact_document($1, $2, $3, $4, $5, $6, $7) AS done',
    [...addressOf(address), epoch, upTo, update],
  );
  return rows[0]?.done ?? false;
}

/** All tenants' documents that ought to be compacted, at most `limit` of each. */
export async function findDue(database: Store, limit: number): Promise<DocumentAddress[]> {
  const tenants = await database.call<{ id: string }>(
    'known_tenants',
    'SELECT id FROM known_tenant ORDER BY id',
    [],
  );
  const due: DocumentAddress[] = [];
  for (const { id: tenantId } of tenants) {
    const rows = await database.call<{ scope: string; entity_type: string; entity_id: string }>(
      'due_documents',
      'SELECT * FROM due_documents($1, $2)',
      [tenantId, limit],
    );
    due.push(
      ...rows.map(({ scope, entity_type: entityType, entity_id: entityId }) => {
        return { tenantId, scope, entityType, entityId };
      }),
    );
  }
  return due;
}
