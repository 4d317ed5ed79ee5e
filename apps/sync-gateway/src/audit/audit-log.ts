import type { JsonObject } from '@sync/domain';
import type { Database, Tx } from '@sync/postgres';
import { type Logger, type Metrics, toProblem } from '@sync/service-kit';
import type { AdminAct } from './admin-act.ts';
import type { AuditDraft } from './audit-entry.ts';
import { appendEntries } from './audit-store.ts';

export interface AuditLogOptions {
  readonly database: Database;
  readonly platformTenant: string;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/** A line that could not be written yet. */
interface Owed {
  readonly chain: string;
  readonly draft: AuditDraft;
}

/** Of one replica; beyond it the log lines of the process are all that is left. */
const MAX_OWED = 1_000;

/**
 * Writes the audit log.
 *
 * Invariants:
 * 1. a change in this database and its line commit together, or not at all ({@link append});
 * 2. no other app is asked for a change before the line that says so is committed ({@link around});
 * 3. a line that could not be written after the fact is counted, logged and written later.
 */
export class AuditLog {
  /** The chain of what belongs to no tenant. */
  readonly platformTenant: string;
  readonly #database: Database;
  readonly #logger: Logger;
  readonly #failures: { inc(): void };
  #owed: Owed[] = [];

  constructor({ database, platformTenant, metrics, logger }: AuditLogOptions) {
    this.platformTenant = platformTenant;
    this.#database = database;
    this.#logger = logger;
    this.#failures = metrics.counter(
      'sync_audit_write_failures_total',
      'Lines of the audit log that could not be written when they were due.',
    );
  }

  /** In the caller's transaction, which is one of the chain's tenant. @returns the position of the line */
  async append(tx: Tx, chain: string, draft: AuditDraft): Promise<string> {
    const [position = ''] = await appendEntries(tx, chain, [draft]);
    return position;
  }

  /** In a transaction of their own. @throws the driver's error; it was counted */
  async write(chain: string, drafts: readonly AuditDraft[]): Promise<readonly string[]> {
    try {
      return await this.#database.inTenant(chain, (tx) => appendEntries(tx, chain, drafts));
    } catch (error) {
      this.#failures.inc();
      throw error;
    }
  }

  /**
   * A change that another app carries out: what is attempted is written first, how it ended after. A process
   * that dies between leaves the attempt alone.
   *
   * @param detail of the attempt: what was asked for
   * @param work asks the app
   * @param told what of the answer belongs into the log
   * @throws what `work` throws; before anybody is asked, whatever keeps the attempt from being written
   */
  async around<T>(
    act: AdminAct,
    detail: JsonObject,
    work: () => Promise<T>,
    told: (answer: T) => JsonObject,
  ): Promise<T> {
    const [attempt = null] = await this.write(act.chain, [act.draft('attempted', { detail })]);
    act.recorded();
    try {
      const answer = await work();
      await this.#end(act.chain, act.draft('done', { attempt, detail: told(answer) }));
      return answer;
    } catch (error) {
      const { code, status } = toProblem(error);
      await this.#end(act.chain, act.draft(status < 500 ? 'refused' : 'unknown', { attempt, code }));
      throw error;
    }
  }

  /** Writes what could not be written before. */
  async settle(): Promise<void> {
    const owed = this.#owed;
    this.#owed = [];
    for (const [index, { chain, draft }] of owed.entries()) {
      try {
        await this.write(chain, [draft]);
      } catch (error) {
        this.#owed = [...owed.slice(index), ...this.#owed];
        this.#logger.warn({ err: error, lines: this.#owed.length }, 'audit lines still cannot be written');
        return;
      }
    }
  }

  async #end(chain: string, draft: AuditDraft): Promise<void> {
    try {
      await this.write(chain, [draft]);
    } catch (error) {
      const fields = { event: 'audit_line_owed', err: error, chain, line: draft };
      this.#logger.error(fields, 'a line of the audit log could not be written');
      if (this.#owed.length < MAX_OWED) this.#owed.push({ chain, draft });
    }
  }
}
