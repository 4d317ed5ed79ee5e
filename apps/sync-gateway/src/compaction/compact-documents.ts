import type { DocumentPool } from '@sync/documents/node';
import { RepeatedWork } from '@sync/messaging';
import type { Database } from '@sync/postgres';
import type { Logger } from '@sync/service-kit';
import { findDue, readParts, replaceParts, type DocumentAddress } from './compaction-store.ts';

/** What became of one compaction; `moved`: something else came in between. */
export type CompactionResult = 'compacted' | 'moved' | 'nothing' | 'failed';

export interface CompactOptions {
  readonly database: Pick<Database, 'call'>;
  readonly pool: Pick<DocumentPool, 'run'>;
  readonly logger: Logger;
  readonly onResult?: (result: CompactionResult) => void;
}

const SWEEP_MS = 600_000;
/** Read, squashed and written at once; what is beyond waits for the next time. */
const MAX_BYTES = 4 * 1024 * 1024;
/** Documents that may wait; the sweep finds those that found no place. */
const MAX_WAITING = 1_000;
const DUE_PER_TENANT = 100;
/** A document that cannot be squashed is left alone so long. */
const REST_MS = SWEEP_MS;

/**
 * Makes one whole document of many increments, in the background: one document at a time, its bytes put
 * together in a thread of the pool, without a lock but for the statement that writes. Told by the ingest what
 * is due; a sweep finds what was due when a replica stopped.
 */
export class CompactDocuments {
  readonly #options: CompactOptions;
  readonly #waiting = new Map<string, DocumentAddress>();
  readonly #restingUntilMs = new Map<string, number>();
  readonly #sweeps = new RepeatedWork(() => this.#sweepAndPause());
  #working: Promise<void> | undefined;
  #stopped = false;

  constructor(options: CompactOptions) {
    this.#options = options;
  }

  start(): void {
    this.#sweeps.start();
  }

  /** Finishes the document in hand. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#sweeps.stop();
    await this.#working;
  }

  /** A document ought to be compacted; returns at once. */
  due(address: DocumentAddress): void {
    const key = keyOf(address);
    if (this.#stopped || this.#waiting.size >= MAX_WAITING) return;
    if ((this.#restingUntilMs.get(key) ?? 0) > performance.now()) return;
    this.#waiting.set(key, address);
    this.#working ??= this.#work();
  }

  /** Resolves when nothing waits any more. */
  async idle(): Promise<void> {
    await this.#working;
  }

  async #sweepAndPause(): Promise<number> {
    await this.sweep().catch((error: unknown) => {
      this.#options.logger.warn({ err: error }, 'documents that are due will be looked for again');
    });
    return SWEEP_MS;
  }

  /** Looks for documents that ought to be compacted. */
  async sweep(): Promise<void> {
    const nowMs = performance.now();
    for (const [key, untilMs] of this.#restingUntilMs) {
      if (untilMs <= nowMs) this.#restingUntilMs.delete(key);
    }
    for (const address of await findDue(this.#options.database, DUE_PER_TENANT)) this.due(address);
  }

  async #work(): Promise<void> {
    for (const [key, address] of this.#waiting) {
      if (this.#stopped) break;
      this.#waiting.delete(key);
      const result = await this.compact(address).catch((error: unknown): CompactionResult => {
        const { logger } = this.#options;
        logger.error(
          { err: error, event: 'document_not_compacted', ...address },
          'a document was not compacted',
        );
        if (this.#restingUntilMs.size < MAX_WAITING)
          this.#restingUntilMs.set(key, performance.now() + REST_MS);
        return 'failed';
      });
      this.#options.onResult?.(result);
    }
    this.#working = undefined;
  }

  /** @throws what the pool and the database throw; nothing was changed then */
  async compact(address: DocumentAddress): Promise<CompactionResult> {
    const { database, pool } = this.#options;
    const parts = await readParts(database, address, MAX_BYTES);
    if (parts === null) return 'nothing';
    const updates = parts.updates.map((update) => Buffer.from(update, 'base64'));
    const { state } = await pool.run('squash', { base: null, updates });
    const whole = Buffer.from(state).toString('base64');
    return (await replaceParts(database, address, parts, whole)) ? 'compacted' : 'moved';
  }
}

function keyOf({ tenantId, scope, entityType, entityId }: DocumentAddress): string {
  return [tenantId, scope, entityType, entityId].join('\0');
}
