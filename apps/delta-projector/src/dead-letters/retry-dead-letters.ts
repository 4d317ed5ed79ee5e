import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '@sync/postgres';
import type { Logger } from '@sync/service-kit';
import { tenantPages } from '../database/known-tenants.ts';
import type { EntityTypes } from '../projection/projected-type.ts';
import type { ReplayDeadLetters } from './replay-dead-letters.ts';

interface RetriedTenant {
  readonly tenant_id: string;
  readonly codes: readonly string[];
}

const RETRY_MS = 30_000;

/**
 * Replays by itself the letters whose cause passes by itself: an entity type that is registered by now, a
 * remote projector that answers again. Everything else waits for a person. Several workers may do so at once;
 * the letters' locks keep them apart.
 */
export class RetryDeadLetters {
  readonly #database: Database;
  readonly #types: EntityTypes;
  readonly #replay: ReplayDeadLetters;
  readonly #logger: Logger;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  constructor(database: Database, types: EntityTypes, replay: ReplayDeadLetters, logger: Logger) {
    this.#database = database;
    this.#types = types;
    this.#replay = replay;
    this.#logger = logger;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** One look at all tenants. @returns how many letters were projected */
  async retryOnce(): Promise<number> {
    let replayed = 0;
    for await (const tenantIds of tenantPages(this.#database)) {
      for (const { tenant_id: tenantId, codes } of await this.#hopeful(tenantIds)) {
        replayed += (await this.#replay.replay({ tenantId, codes })).replayed;
      }
    }
    return replayed;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (await pause(signal)) {
      try {
        const replayed = await this.retryOnce();
        if (replayed > 0) this.#logger.info({ replayed }, 'projected dead letters whose cause has passed');
      } catch (error) {
        this.#logger.warn({ err: error }, 'could not retry dead letters');
      }
    }
  }

  async #hopeful(tenantIds: readonly string[]): Promise<RetriedTenant[]> {
    const rows = await this.#database.inTenant(tenantIds, (tx) =>
      tx.query<{ tenant_id: string; code: string; entity_type: string | null }>(
        `SELECT DISTINCT tenant_id, code, entity_type FROM dead_letter
         WHERE status = 'quarantined' AND code IN ('entity_type_unknown', 'projector_unavailable', 'document_unavailable')`,
      ),
    );
    const byTenant = new Map<string, Set<string>>();
    for (const { tenant_id: tenantId, code, entity_type: entityType } of rows) {
      if (entityType === null || this.#types.get(entityType) === undefined) continue;
      byTenant.set(tenantId, (byTenant.get(tenantId) ?? new Set()).add(code));
    }
    return [...byTenant].map(([tenantId, codes]) => ({ tenant_id: tenantId, codes: [...codes] }));
  }
}

/** @returns false when it is time to stop */
async function pause(signal: AbortSignal): Promise<boolean> {
  await sleep(RETRY_MS, undefined, { signal, ref: false }).catch(() => undefined);
  return !signal.aborted;
}
