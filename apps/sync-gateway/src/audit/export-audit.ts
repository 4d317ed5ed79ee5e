import { Readable } from 'node:stream';
import { CHAIN_START, type ChainPoint, type Database } from '@sync/postgres';
import { ProblemError } from '@sync/service-kit';
import { type AnchoredRows, type AuditRow, readChain } from './audit-store.ts';

/** Lines read at once, each batch in a short transaction of its own: a slow reader holds no connection. */
const BATCH = 500;
/** Of one replica. */
const MAX_EXPORTS = 2;
/** A reader that takes nothing for so long is cut off. */
const STALL_MS = 60_000;

/** Streams a tenant's chain as lines of JSON: a head, the entries in order, and an end. */
export class ExportAudit {
  readonly #database: Database;
  #running = 0;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * @param after the position behind which it begins; '0' for all of it
   * @throws ProblemError `unavailable` when too many run at once, `schema_invalid` for a position that the
   * chain does not have
   */
  async start(tenantId: string, after: string): Promise<Readable> {
    if (this.#running >= MAX_EXPORTS) {
      throw new ProblemError('unavailable', `${MAX_EXPORTS} exports are running`, {
        headers: { 'retry-after': '30' },
      });
    }
    this.#running += 1;
    try {
      const start = await this.#startAt(tenantId, after);
      // Before anything is answered: what cannot be read at all is 503, and no stream that breaks off.
      const first = await this.#read(tenantId, start.position, BATCH);
      const cutOff = (error: Error): unknown => stream.destroy(error);
      const lines = this.#lines(tenantId, start, first, cutOff);
      const stream: Readable = Readable.from(lines, { objectMode: false });
      stream.once('close', () => (this.#running -= 1));
      return stream;
    } catch (error) {
      this.#running -= 1;
      throw error;
    }
  }

  /** The line before the first: whoever verifies the export begins with its hash. */
  async #startAt(tenantId: string, position: string): Promise<ChainPoint> {
    if (position === CHAIN_START.position) return CHAIN_START;
    const { rows } = await this.#read(tenantId, (BigInt(position) - 1n).toString(), 1);
    const [row] = rows;
    if (row?.position === position) return { position, hash: row.hash };
    const fault = { path: '/after', message: 'no line of this log' };
    throw new ProblemError('schema_invalid', `${fault.path}: ${fault.message}`, { errors: [fault] });
  }

  async *#lines(
    tenantId: string,
    start: ChainPoint,
    first: AnchoredRows,
    cutOff: (error: Error) => unknown,
  ): AsyncGenerator<string> {
    const { position: after, hash } = start;
    yield lineOf({ head: { tenantId, after, hash, exportedAt: new Date().toISOString() } });
    let end = start;
    for (let page = first; ; page = await this.#read(tenantId, end.position, BATCH)) {
      const { anchor, rows } = page;
      end = rows.at(-1) ?? end;
      if (rows.length > 0) {
        const stalled = setTimeout(() => cutOff(new Error('The reader takes nothing')), STALL_MS);
        try {
          yield rows.map(entryLine).join('');
        } finally {
          clearTimeout(stalled);
        }
      }
      if (rows.length === BATCH) continue;
      const { position, hash: last } = end;
      yield lineOf({ end: { position, hash: last, entries: anchor?.entries ?? '0' } });
      return;
    }
  }

  #read(tenantId: string, after: string, limit: number): Promise<AnchoredRows> {
    return this.#database.inTenant(tenantId, (tx) => readChain(tx, tenantId, after, limit));
  }
}

function lineOf(value: object): string {
  return `${JSON.stringify(value)}\n`;
}

/** The stored text as it is, not parsed and written again: it is what was hashed. */
function entryLine({ text, hash }: AuditRow): string {
  return `${text.slice(0, -1)},"hash":${JSON.stringify(hash)}}\n`;
}
