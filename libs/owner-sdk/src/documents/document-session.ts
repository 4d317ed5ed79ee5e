import {
  EMPTY_STATE,
  TooDeepError,
  sidesOf,
  tooLarge,
  type ChangeOrigin,
  type DocumentLimits,
  type OpenDocument,
  type OverlapReport,
  type Rewritten,
  type TakenPart,
} from '@sync/documents';
import { JobFailedError, type DocumentPool, type SquashedState } from '@sync/documents/node';
import type { Tx } from '@sync/postgres';
import type { DocumentOverlaps, PushedMutation } from '@sync/protocol';
import { deviceReplica, type ChangeDot, type VectorClock } from '@sync/vector-clock';
import { InvalidChangeError } from '../change-entities.ts';
import { BusyDocumentsError, RefusedDocumentError } from '../document-port.ts';
import type { DocumentSession, OwnDocumentChange, ShownDocument, TakenUpdate } from '../document-port.ts';
import type { EntityData } from '../entity-store.ts';
import { reject, type Rejected } from '../handler-answer.ts';
import type { OwnerLogger } from '../ports.ts';
import {
  GONE,
  closeClients,
  firstUnseen,
  pruneHistory,
  readHistory,
  readWritten,
  writeDocument,
  type DocumentKey,
  type DocumentRow,
} from './document-rows.ts';
import { runJob } from './run-job.ts';

export interface DocumentSettings extends DocumentLimits {
  /** The field of the entity's data that holds the document, base64: the registration's `docUpdateField`. */
  readonly field: string;
  /** The field that shows the epoch: one higher when the document was replaced. */
  readonly epochField: string;
  readonly retentionDays: number;
  readonly pool: DocumentPool;
  readonly logger: OwnerLogger;
}

/**
 * A base is kept when the log since the last one weighs this many times as much: so much at most do bases add
 * to the log.
 */
const LOG_PER_BASE = 10;
/** What a row of the log takes beside its update, roughly. */
const LOG_ROW_BYTES = 120;
/** Of the log, read to compare what is not in the document any more. */
const MAX_LOG_BYTES = 16 * 1024 * 1024;

/** A document of a batch. */
export type BatchDocument = OpenDocument<PushedMutation, DocumentRow>;

interface BatchOfDocuments {
  readonly tenantId: string;
  readonly entityType: string;
  /** Those that exist or are new in this batch, by entity id; `open` makes the entry of a new one. */
  readonly open: (entityId: string) => BatchDocument;
  /** All that were opened. */
  readonly opened: ReadonlyMap<string, BatchDocument>;
  /** What accepted suggestions come to, by mutationId. */
  readonly rewritten: ReadonlyMap<string, Rewritten>;
}

const SERVICE = { kind: 'server', id: 'service', device: null } as const;

/** Implements the port; see there. One per batch. */
export class YjsSession implements DocumentSession {
  readonly #settings: DocumentSettings;
  readonly #batch: BatchOfDocuments;

  constructor(settings: DocumentSettings, batch: BatchOfDocuments) {
    this.#settings = settings;
    this.#batch = batch;
  }

  take(mutation: PushedMutation, data: EntityData, isNew: boolean, dot: ChangeDot): TakenUpdate {
    const document = this.#batch.open(mutation.entityId);
    // Who accepted it answers for it, but did not write it.
    const author = mutation.suggestion
      ? ({ kind: 'suggestion', id: 'suggestion', device: null } as const)
      : ({ kind: 'device', id: mutation.userId, device: mutation.deviceId } as const);
    const origin: ChangeOrigin<PushedMutation> = { ...author, dot, mutation };
    const taken = (update: Uint8Array): TakenUpdate => ({
      ok: true,
      shown: { data: this.#withDocument(data, document, update), isIncrement: !isNew },
    });
    // Taken as what makes the document, it would make an empty one: what it says belongs to a document that
    // was to be there.
    if (isNew && mutation.op === 'merge')
      return { ok: false, refusal: reject('document_unknown', 'there is no such document: put it first') };
    if (isNew) {
      // What a service puts into a new document is its own words, whoever asked for the document.
      document.begin(bytesOf(data[this.#settings.field]), {
        ...origin,
        ...SERVICE,
      });
      return taken(document.base);
    }
    if (mutation.op !== 'merge') return taken(EMPTY_STATE);
    const merged = this.#merge(document, mutation, origin);
    return merged.kind === 'rejected' ? { ok: false, refusal: merged } : taken(merged.added);
  }

  #merge(
    document: BatchDocument,
    mutation: PushedMutation,
    origin: ChangeOrigin<PushedMutation>,
  ): TakenPart | Rejected {
    const bytes = this.#updateOf(mutation);
    if ('code' in bytes) return bytes;
    return document.merge(bytes, mutation.baseClock, deviceReplica(mutation.deviceId), origin);
  }

  #updateOf({ mutationId, update, suggestion }: PushedMutation): Uint8Array | Rejected {
    if (!suggestion) {
      return update === undefined
        ? reject('update_invalid', '/update is missing')
        : Buffer.from(update, 'base64');
    }
    const rewritten = this.#batch.rewritten.get(mutationId);
    if (rewritten?.ok) return rewritten.update ?? EMPTY_STATE;
    const place = rewritten ? String(rewritten.edit) : '';
    return reject('block_moved', `/suggestion/edits/${place}: what it was made for is not there any more`);
  }

  takeOwn({ entityId, data, replica, counter }: OwnDocumentChange): ShownDocument {
    const document = this.#batch.open(entityId);
    const dot = { replicaId: replica, counter, folds: 0 };
    const origin = { ...SERVICE, dot, mutation: null };
    const content = bytesOf(data[this.#settings.field]);
    const epoch = data[this.#settings.epochField];
    if (
      document.before === null ||
      isGone(document) ||
      (typeof epoch === 'number' && epoch > document.epoch)
    ) {
      document.begin(content, origin);
      return { data: this.#withDocument(data, document, content), isIncrement: false };
    }
    // The whole document handed back with an edit in it is taken too: what is known is cut off.
    const answer = document.append(content, origin);
    if (answer.kind === 'rejected') {
      throw new InvalidChangeError(`${this.#batch.entityType} ${entityId}: ${answer.message}`);
    }
    return { data: this.#withDocument(data, document, answer.added), isIncrement: true };
  }

  async complete(
    tx: Tx,
    changed: ReadonlyMap<string, { readonly data: EntityData | null; readonly clock: VectorClock }>,
  ): Promise<ReadonlyMap<string, DocumentOverlaps>> {
    const overlaps = new Map<string, DocumentOverlaps>();
    for (const [entityId, entity] of changed) {
      const document = this.#batch.open(entityId);
      const key = this.#keyOf(entityId);
      const found = await this.#compare(tx, key, document);
      if (found && document.lastMerge) overlaps.set(document.lastMerge.mutationId, found.overlaps);
      for (const mutationId of await this.#compareWithLog(tx, key, document))
        overlaps.set(mutationId, NOT_COMPARED);
      await this.#write(tx, key, document, { isGone: entity.data === null, found });
    }
    // What is refused changes no entity, and leaves this all the same.
    for (const [entityId, { closed }] of this.#batch.opened) {
      if (closed.size > 0) await closeClients(tx, this.#keyOf(entityId), [...closed]);
    }
    return overlaps;
  }

  #keyOf(entityId: string): DocumentKey {
    return { tenantId: this.#batch.tenantId, entityType: this.#batch.entityType, entityId };
  }

  #withDocument(data: EntityData, document: BatchDocument, content: Uint8Array): EntityData {
    const { field, epochField } = this.#settings;
    return { ...data, [field]: Buffer.from(content).toString('base64'), [epochField]: document.epoch };
  }

  /** Null when the devices of this batch had seen everything. */
  async #compare(
    tx: Tx,
    key: DocumentKey,
    document: BatchDocument,
  ): Promise<{ readonly overlaps: DocumentOverlaps; readonly mutationId: string } | null> {
    const { firstMerge, before } = document;
    if (!firstMerge?.baseClock || before === null || document.beganNow) return null;
    const { baseClock, mutationId, deviceId } = firstMerge;
    const own = deviceReplica(deviceId);
    const unseen = await firstUnseen(tx, key, document.epoch, baseClock, own);
    if (unseen === null) return null;
    const history = await readHistory(tx, key, document.epoch, unseen - 1);
    if (history === null) return { mutationId, overlaps: NOT_COMPARED };
    const input = sidesOf(history, document.logged, baseClock, own);
    const report = await runJob(this.#settings.pool, 'overlaps', input).catch((error: unknown) => {
      // Busy goes away: the batch comes again. Anything else would come again for ever.
      if (error instanceof BusyDocumentsError) throw error;
      this.#settings.logger.error({ err: error, ...key, mutationId }, 'a merge could not be compared');
      return null;
    });
    return { mutationId, overlaps: report === null ? NOT_COMPARED : overlapsOf(report) };
  }

  /**
   * Updates that repeat what was deleted since are compared with what the log has of it.
   * @returns the mutations of which the log has it no more: their records keep what they brought
   * @throws RefusedDocumentError when the log has something else
   */
  async #compareWithLog(tx: Tx, key: DocumentKey, document: BatchDocument): Promise<string[]> {
    const { uncertain, base, logged, epoch } = document;
    if (uncertain.length === 0) return [];
    const log = await readWritten(tx, key, epoch, MAX_LOG_BYTES);
    const written = [[base, ...logged.map((one) => one.update)], log];
    const gone: string[] = [];
    for (const { update, stateVector, mutationId } of uncertain) {
      const input = { update, stateVector, written };
      const repeated = await runJob(this.#settings.pool, 'compareRepeated', input).catch((error: unknown) => {
        if (error instanceof BusyDocumentsError) throw error;
        this.#settings.logger.error({ err: error, ...key, mutationId }, 'a repetition could not be compared');
        return { kind: 'gone' } as const;
      });
      if (repeated.kind === 'other') {
        const message = `/update: the log has other content under clientID ${repeated.client}`;
        throw new RefusedDocumentError(reject('client_id_foreign', message));
      }
      if (repeated.kind === 'gone') gone.push(mutationId);
    }
    return gone;
  }

  async #write(
    tx: Tx,
    key: DocumentKey,
    document: BatchDocument,
    { isGone, found }: { readonly isGone: boolean; readonly found: { readonly mutationId: string } | null },
  ): Promise<void> {
    const { before } = document;
    if (before !== null && !isGone && document.logged.length === 0 && !document.beganNow) return;
    const squashed = await this.#squash(document, isGone);
    const added = document.logged.reduce((sum, { update }) => sum + update.length + LOG_ROW_BYTES, 0);
    const bytesSinceBase = (document.beganNow ? 0 : (before?.bytesSinceBase ?? 0)) + added;
    const begins = document.beganNow || before === null;
    const keepBase = !isGone && (begins || bytesSinceBase >= squashed.state.length * LOG_PER_BASE);
    const merged = found && before && !document.beganNow ? before : null;
    await writeDocument(tx, {
      key,
      row: {
        epoch: document.epoch,
        start: document.start,
        sequence: document.sequence,
        state: squashed.state,
        stateVector: document.encodedStateVector,
        stateHash: squashed.hash,
        bytesSinceBase: keepBase ? 0 : bytesSinceBase,
      },
      logged: document.logged,
      claims: document.claims,
      keepBase,
      backup:
        merged && found
          ? { sequence: merged.sequence, stateHash: merged.stateHash, mutationId: found.mutationId }
          : null,
    });
    if (keepBase) await pruneHistory(tx, key, this.#settings.retentionDays);
  }

  /**
   * A deleted entity keeps its row, so that one created again under its id begins a new epoch; and its log,
   * to go back to.
   */
  async #squash(document: BatchDocument, isGone: boolean): Promise<SquashedState> {
    if (isGone) return { state: EMPTY_STATE, hash: GONE };
    const updates = document.logged.map(({ update }) => update);
    const { pool, admission, maxStateBytes } = this.#settings;
    const input = { base: document.base, updates, maxDepth: admission.documentDepth };
    const squashed = await runJob(pool, 'squash', input).catch((error: unknown) => {
      if (!(error instanceof JobFailedError) || error.reason !== TooDeepError.name) throw error;
      throw new RefusedDocumentError(reject('content_not_allowed', `/update: ${error.message}`));
    });
    // A few bytes that delete every second letter make a document many times as large. One that is too large
    // already may shrink.
    const before = document.before?.state.length ?? 0;
    if (!document.beganNow && squashed.state.length > Math.max(maxStateBytes, before))
      throw new RefusedDocumentError(tooLarge(maxStateBytes));
    return squashed;
  }
}

const isGone = ({ before, beganNow }: BatchDocument): boolean => before?.stateHash === GONE && !beganNow;

/** Nobody knows what these edits meet: somebody has to look. */
const NOT_COMPARED: DocumentOverlaps = { grade: 'severe', compared: false, overlaps: [], omitted: 0 };

function overlapsOf({ grade, overlaps, omitted }: OverlapReport): DocumentOverlaps {
  return { grade, compared: true, overlaps: [...overlaps], omitted };
}

function bytesOf(value: unknown): Uint8Array {
  if (typeof value !== 'string' || value === '') return EMPTY_STATE;
  return Buffer.from(value, 'base64');
}
