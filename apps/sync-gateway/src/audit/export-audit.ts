import { Readable } from 'node:stream';
import { CHAIN_START, type ChainPoint, type Database } from '@sync/postgres';
import { ProblemError } from '@sync/service-kit';
import { type AnchoredRows, type AuditRow, readChain } from './audit-store.ts';

/** Lines read at once, each batch in a short transaction of its own: a slow reader holds no connection. */
const BATCH = 500;
/** Of one replica. One may take hours, so those of one tenant leave some to others. */
const MAX_EXPORTS = 6;
const MAX_OF_TENANT = 2;
/** A reader that takes nothing for so long is cut off. */
const STALL_MS = 60_000;

/** Who is told of an export while it runs. */
interface Watching {
  readonly cutOff: (error: Error) => unknown;
  readonly onBytes: (bytes: number) => void;
}

/** Streams a tenant's chain as lines of JSON: a head, the entries in order, and an end. */
export class ExportAudit {
  readonly #database: Database;
  /** How many run, by tenant. */
  readonly #running = new Map<string, number>();

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * @param after the position behind which it begins; '0' for all of it
   * @param onBytes told how long each batch is
   * @throws ProblemError `unavailable` when too many run at once, `schema_invalid` for a position that the
   * chain does not have
   */
  async start(tenantId: string, after: string, onBytes: (bytes: number) => void): Promise<Readable> {
    const end = this.#begin(tenantId);
    try {
      const start = await this.#startAt(tenantId, after);
      // Before anything is answered: what cannot be read at all is 503, and no stream that breaks off.
      const first = await this.#read(tenantId, start.position, BATCH);
      const cutOff = (error: Error): unknown => stream.destroy(error);
      const lines = this.#lines(tenantId, start, first, { cutOff, onBytes });
      const stream: Readable = Readable.from(lines, { objectMode: false });
      stream.once('close', end);
      return stream;
    } catch (error) {
      end();
      throw error;
    }
  }

  /** @returns to be called once, when the export has ended */
  #begin(tenantId: string): () => void {
    const own = this.#running.get(tenantId) ?? 0;
    const all = [...this.#running.values()].reduce((sum, count) => sum + count, 0);
    if (own >= MAX_OF_TENANT || all >= MAX_EXPORTS) {
      throw new ProblemError('unavailable', 'Too many exports are running', {
        headers: { 'retry-after': '30' },
      });
    }
    this.#running.set(tenantId, own + 1);
    return () => {
      const left = (this.#running.get(tenantId) ?? 0) - 1;
      if (left > 0) this.#running.set(tenantId, left);
      else this.#running.delete(tenantId);
    };
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
    { cutOff, onBytes }: Watching,
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
          const lines = rows.map(entryLine).join('');
          onBytes(lines.length);
          yield lines;
        } finally {
          clearTimeout(stalled);
        }
      }
      if (rows.length === BATCH) continue;
      // The hash that was counted and not that of the last line: a line that was changed since shows.
      const { entries, hash: newest } = anchor ?? { entries: '0', hash: '' };
      yield lineOf({ end: { position: end.position, hash: newest, entries } });
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
