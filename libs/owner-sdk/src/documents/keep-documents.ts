import { ADMISSION_LIMITS, type AdmissionLimits, OpenDocument, drawClientId } from '@sync/documents';
import { DocumentPool } from '@sync/documents/node';
import type { Tx } from '@sync/postgres';
import type { DocumentKeeper, DocumentSession } from '../document-port.ts';
import type { EntityDefinition } from '../entity-definition.ts';
import type { EntityData } from '../entity-store.ts';
import type { OwnerLogger } from '../ports.ts';
import { YjsSession, type BatchDocument, type DocumentSettings } from './document-session.ts';
import { GONE, readClientOwners, readDocuments, readHistory, type DocumentKey } from './document-rows.ts';
import { rewriteDocuments } from './rewrite-documents.ts';

/** What {@link KeptDocuments} works with. */
export interface KeepDocumentsOptions {
  /** Field of `data` with the document, base64; the registration's `docUpdateField`. */
  readonly field: string;
  /**
   * Field of `data` with the epoch; list it among the projection's fields, so that devices see it. Default
   * `epoch`.
   */
  readonly epochField?: string;
  readonly logger: OwnerLogger;
  /** Of one document as an update; default 512 KiB, which fits into an event as base64. */
  readonly maxStateBytes?: number;
  /** How far back a document can be restored; default 30. */
  readonly retentionDays?: number;
  readonly pool?: DocumentPool;
  /** Tighter or wider than `ADMISSION_LIMITS`; a document that is one text should not admit nested types. */
  readonly admission?: Partial<AdmissionLimits>;
}

/**
 * A point in a document's history: a row of `sync_document_backup`, or any sequence that the log still
 * reaches.
 */
export interface DocumentPoint {
  readonly epoch: number;
  readonly sequence: number;
  /** When it is given, the restored state must have it. */
  readonly stateHash?: string;
}

/** The point cannot be gone back to: another epoch, or before the log begins; or the log is damaged. */
export class DocumentHistoryError extends Error {
  override readonly name = 'DocumentHistoryError';
}

/**
 * Keeps the documents of one `crdt_yjs` entity type: admits updates by their bytes, logs them, merges in
 * threads, compares concurrent edits, and can go back. The service's own `load`, `store` and `handle` see the
 * plain fields; what the definition made by {@link KeptDocuments.define} loads has the document as well.
 * Needs the tables of `documentMigrations`.
 */
export class KeptDocuments {
  readonly #settings: DocumentSettings;

  constructor(options: KeepDocumentsOptions) {
    this.#settings = {
      field: options.field,
      epochField: options.epochField ?? 'epoch',
      maxStateBytes: options.maxStateBytes ?? 512 * 1024,
      retentionDays: options.retentionDays ?? 30,
      pool: options.pool ?? new DocumentPool({ heapMb: 512 }),
      logger: options.logger,
      admission: { ...ADMISSION_LIMITS, ...options.admission },
    };
  }

  /** The definition with its documents; `load` and `store` of the given one are for the plain fields. */
  define(plain: EntityDefinition): EntityDefinition {
    const { field, epochField } = this.#settings;
    return {
      ...plain,
      documents: this.#keeper(plain),
      load: async (tx, tenantId, entityIds) => {
        const rows = await plain.load(tx, tenantId, entityIds);
        const documents = await readDocuments(tx, tenantId, plain.entityType, [...rows.keys()]);
        return new Map(
          [...rows].map(([entityId, data]): [string, EntityData] => {
            const { state, epoch = 0 } = documents.get(entityId) ?? {};
            const body = Buffer.from(state ?? []).toString('base64');
            return [entityId, { ...data, [field]: body, [epochField]: epoch }];
          }),
        );
      },
      store: (tx, tenantId, rows) =>
        plain.store(
          tx,
          tenantId,
          rows.map((row) => {
            if (row.data === null) return row;
            const { [field]: _document, [epochField]: _epoch, ...data } = row.data;
            return { entityId: row.entityId, data, json: JSON.stringify(data) };
          }),
        ),
    };
  }

  /**
   * The change that brings a document back to what it was: give it to `owner.change` as the document's field,
   * in the same transaction. What was written since is not lost: it stays in the log, and the restore can be
   * restored.
   *
   * @param tx a transaction of the tenant in which the entity is locked (`owner.lock`)
   * @returns base64; null when the document has that content already
   * @throws DocumentHistoryError, and what a pool throws
   */
  async restoreChange(tx: Tx, key: DocumentKey, to: DocumentPoint): Promise<string | null> {
    const { pool } = this.#settings;
    const now = (await readDocuments(tx, key.tenantId, key.entityType, [key.entityId])).get(key.entityId);
    if (now?.stateHash === GONE) throw new DocumentHistoryError('the entity was deleted: create it again');
    if (now?.epoch !== to.epoch) throw new DocumentHistoryError(`epoch ${to.epoch} has been replaced`);
    const history = await readHistory(tx, key, to.epoch, to.sequence);
    if (history === null) throw new DocumentHistoryError(`the log does not reach back to ${to.sequence}`);
    const until = history.updates.filter(({ sequence }) => sequence <= to.sequence);
    const since = history.updates.filter(({ sequence }) => sequence > to.sequence);
    const then = await pool.run('squash', {
      base: history.base,
      updates: until.map(({ update }) => update),
    });
    if (to.stateHash !== undefined && to.stateHash !== then.hash) {
      throw new DocumentHistoryError(`the log gives state ${then.hash} and not ${to.stateHash}`);
    }
    const update = await pool.run('restore', {
      stateThen: then.state,
      updatesSince: since.map((one) => one.update),
      clientId: drawClientId('server', Math.random),
    });
    return update && Buffer.from(update).toString('base64');
  }

  /** Ends the threads. */
  close(): Promise<void> {
    return this.#settings.pool.close();
  }

  #keeper(plain: EntityDefinition): DocumentKeeper {
    return {
      loadPlain: (tx, tenantId, entityIds) => plain.load(tx, tenantId, entityIds),
      open: async (tx, tenantId, entityType, entityIds, pushed = []): Promise<DocumentSession> => {
        const rows = await readDocuments(tx, tenantId, entityType, entityIds);
        const owners = await readClientOwners(tx, tenantId, entityType, entityIds);
        const documents = new Map<string, BatchDocument>();
        const open = (entityId: string): BatchDocument => {
          const known = documents.get(entityId);
          if (known) return known;
          const document: BatchDocument = new OpenDocument(
            rows.get(entityId) ?? null,
            owners.get(entityId) ?? new Map(),
            this.#settings,
          );
          documents.set(entityId, document);
          return document;
        };
        const rewritten = await rewriteDocuments(this.#settings.pool, rows, pushed);
        return new YjsSession(this.#settings, { tenantId, entityType, open, opened: documents, rewritten });
      },
    };
  }
}
