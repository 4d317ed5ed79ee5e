import { repeatedUpkeep, type RepeatedWork } from '@sync/messaging';
import type { Database } from '@sync/postgres';
import type { OwnerLogger } from './ports.ts';
import { pruneAnswers } from './push/push-store.ts';

const EVERY_MS = 3_600_000;
const ROWS_PER_TRANSACTION = 1_000;
const TENANTS_PER_PAGE = 1_000;

/**
 * Forgets old answers once an hour, tenant by tenant in short transactions. Every replica does it: the one
 * that comes second finds nothing, which costs less than agreeing on who goes first.
 */
export class InboxPruner {
  readonly #database: Database;
  readonly #retentionDays: number;
  readonly #work: RepeatedWork;
  #stopped = false;

  constructor(database: Database, logger: OwnerLogger, retentionDays: number) {
    this.#database = database;
    this.#retentionDays = retentionDays;
    const failure = 'could not prune the mutation inbox, next try in an hour';
    this.#work = repeatedUpkeep(() => this.prune(), { everyMs: EVERY_MS, logger, failure });
  }

  start(): void {
    this.#work.start();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#work.stop();
  }

  /** @returns how many answers were forgotten */
  async prune(): Promise<number> {
    let pruned = 0;
    for (let after: string | undefined = ''; after !== undefined && !this.#stopped;) {
      const rows: { tenant_id: string }[] = await this.#database.call<{ tenant_id: string }>(
        'sync_prune_tenants',
        'SELECT tenant_id FROM sync_tenant WHERE tenant_id > $1 ORDER BY tenant_id LIMIT $2',
        [after, TENANTS_PER_PAGE],
      );
      for (const row of rows) pruned += await this.#pruneTenant(row.tenant_id);
      after = rows.at(-1)?.tenant_id;
    }
    return pruned;
  }

  async #pruneTenant(tenantId: string): Promise<number> {
    let pruned = 0;
    while (!this.#stopped) {
      const count = await this.#database.inTenant(tenantId, (tx) =>
        pruneAnswers(tx, tenantId, this.#retentionDays, ROWS_PER_TRANSACTION),
      );
      pruned += count;
      if (count < ROWS_PER_TRANSACTION) return pruned;
    }
    return pruned;
  }
}
