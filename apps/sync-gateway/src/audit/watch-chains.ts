import { RepeatedWork } from '@sync/messaging';
import { CHAIN_START, type Database } from '@sync/postgres';
import type { Logger, Metrics } from '@sync/service-kit';
import { chainAfter } from './audit-store.ts';
import { verifyPage } from './verify-audit.ts';

const EVERY_MS = 60_000;
/** 720,000 lines a day for each replica, at a cost that nobody notices. */
const LINES = 500;
const NO_TENANT = '';

export interface WatchOptions {
  readonly database: Database;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/** Verifies all chains over and over, a page a minute, and reports those that are broken. */
export class WatchChains {
  readonly #database: Database;
  readonly #logger: Logger;
  readonly #broken = new Set<string>();
  readonly #work = new RepeatedWork(async () => {
    await this.pass().catch((error: unknown) => this.#logger.warn({ err: error }, 'audit chains wait'));
    return EVERY_MS;
  }, EVERY_MS);
  #tenantId = NO_TENANT;
  #position = CHAIN_START.position;
  /** Lines that the chain had when its first page was read; later ones are for the next round. */
  #counted = '0';

  constructor({ database, metrics, logger }: WatchOptions) {
    this.#database = database;
    this.#logger = logger;
    metrics.gauge(
      'sync_audit_broken_chains',
      'Chains of the audit log that were not as they were written when this replica last looked.',
      [],
      (gauge) => gauge.set(this.#broken.size),
    );
  }

  start(): void {
    this.#work.start();
  }

  async stop(): Promise<void> {
    await this.#work.stop();
  }

  /** One page; behind the last chain it begins again with the first. */
  async pass(): Promise<void> {
    if (this.#position === CHAIN_START.position && !(await this.#nextChain())) return;
    const tenantId = this.#tenantId;
    const { broken, end, hasMore, counted } = await this.#database.inTenant(tenantId, (tx) =>
      verifyPage(tx, tenantId, this.#position, LINES),
    );
    if (this.#position === CHAIN_START.position) this.#counted = counted;
    const goesOn = hasMore && BigInt(end.position) < BigInt(this.#counted);
    this.#position = goesOn ? end.position : CHAIN_START.position;
    if (goesOn) return;
    if (broken === null) {
      this.#broken.delete(tenantId);
      return;
    }
    this.#broken.add(tenantId);
    this.#logger.error({ event: 'audit_chain_broken', tenantId, ...broken }, 'the audit log was changed');
  }

  async #nextChain(): Promise<boolean> {
    const next = await chainAfter(this.#database, this.#tenantId);
    this.#tenantId = next ?? NO_TENANT;
    return next !== null;
  }
}
