import type { Database, Tx } from '@sync/postgres';
import type { Logger } from '../logger.ts';
import type { CurrentSeal, KeySeal } from './key-seal.ts';
import { SealError, sealedPrefix, type SecretOwner } from './sealed-text.ts';

/** Where a table has secrets: its statements. `position` is the primary key without the tenant, as texts. */
export interface SealedRows {
  /** In names of statements and in logs: letters and `_`. */
  readonly name: string;
  /** `$1` a tenant or '' → the next `tenant_id` in order; null for a table without tenants. */
  readonly nextTenant: string | null;
  /**
   * `$1` tenant or '', `$2` position of the last row or null, `$3` prefix, `$4` limit → rows behind that
   * position, in order, that do not begin with the prefix: {@link StoredSecret}
   */
  readonly page: string;
  /**
   * `$1` tenant or '', `$2` JSON: a list of `{position, stored, sealed}`. Only where `stored` is still there.
   */
  readonly write: string;
}

/** A row of a page. */
interface StoredSecret {
  readonly position: readonly string[];
  readonly owner: SecretOwner;
  readonly stored: string;
}

/** What became of the secrets of a table. */
export interface SealReport {
  readonly sealed: number;
  /** Those that do not open, or may not be in clear. */
  readonly left: number;
}

/** A transaction has this many: short locks, and the thread is free again after some milliseconds. */
const PAGE_ROWS = 500;

/**
 * Seals with the newest data key what is in clear or was sealed with an earlier one, tenant by tenant, in
 * short transactions. Any number of processes may do it at once, and any of them may die.
 */
export async function sealRows(
  database: Database,
  keys: KeySeal,
  rows: SealedRows,
  logger: Logger,
): Promise<SealReport> {
  const pass = new SealPass(database, keys, rows, logger);
  if (!keys.isSealing) return pass.report;
  if (rows.nextTenant === null) await pass.sealTenant('');
  else {
    for (let tenant = ''; ;) {
      const [next] = await database.call<{ tenant_id: string }>(`seal_tenant_${rows.name}`, rows.nextTenant, [
        tenant,
      ]);
      if (!next) break;
      tenant = next.tenant_id;
      await pass.sealTenant(tenant);
    }
  }
  const { report } = pass;
  if (report.sealed > 0) {
    logger.info({ event: 'keys_sealed', rows: rows.name, ...report }, 'stored secrets were sealed');
  }
  return report;
}

class SealPass {
  readonly #database: Database;
  readonly #keys: KeySeal;
  readonly #rows: SealedRows;
  readonly #logger: Logger;
  #sealed = 0;
  #left = 0;

  constructor(database: Database, keys: KeySeal, rows: SealedRows, logger: Logger) {
    this.#database = database;
    this.#keys = keys;
    this.#rows = rows;
    this.#logger = logger;
  }

  get report(): SealReport {
    return { sealed: this.#sealed, left: this.#left };
  }

  async sealTenant(tenant: string): Promise<void> {
    for (let after: readonly string[] | null = null; ;) {
      const work = (tx: Tx): Promise<readonly StoredSecret[]> => this.#sealPage(tx, tenant, after);
      const page: readonly StoredSecret[] =
        tenant === '' ? await this.#database.transaction(work) : await this.#database.inTenant(tenant, work);
      after = page.at(-1)?.position ?? null;
      if (page.length < PAGE_ROWS) return;
    }
  }

  async #sealPage(tx: Tx, tenant: string, after: readonly string[] | null): Promise<readonly StoredSecret[]> {
    const { name, page: text, write } = this.#rows;
    const current = await this.#keys.current(tx);
    if (current === null) return [];
    const prefix = sealedPrefix(current.dataKeyId);
    const page = await tx.call<StoredSecret>(`seal_page_${name}`, text, [tenant, after, prefix, PAGE_ROWS]);
    const changed = [];
    for (const row of page) {
      const sealed = await this.#sealAnew(current, tenant, row);
      if (sealed !== null) changed.push({ position: row.position, stored: row.stored, sealed });
    }
    if (changed.length === 0) return page;
    await tx.call(`seal_write_${name}`, write, [tenant, JSON.stringify(changed)]);
    this.#sealed += changed.length;
    return page;
  }

  /** One that does not open stays as it is, for a person to look at; the others go on. */
  async #sealAnew(current: CurrentSeal, tenant: string, row: StoredSecret): Promise<string | null> {
    try {
      return current.seal(row.owner, await this.#keys.open(row.owner, row.stored));
    } catch (error) {
      if (!(error instanceof SealError)) throw error;
      this.#left += 1;
      const { position } = row;
      this.#logger.error(
        { event: 'key_unreadable', rows: this.#rows.name, tenantId: tenant, position, reason: error.message },
        'a stored secret does not open',
      );
      return null;
    }
  }
}
