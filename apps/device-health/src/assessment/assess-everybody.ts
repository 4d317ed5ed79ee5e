import { LeaseKeeper, RepeatedWork } from '@sync/messaging';
import type { Database } from '@sync/postgres';
import type { Logger } from '@sync/service-kit';
import { assessTenant } from './assess-tenant.ts';
import { pruneHistory, readTenants } from './device-store.ts';

export interface AssessmentOptions {
  readonly database: Database;
  readonly logger: Logger;
  readonly everyMs: number;
  /** Devices per status over all tenants, after each round. */
  readonly report: (counts: ReadonlyMap<string, number>) => void;
  readonly afterRound: () => void;
}

const PRUNE_EVERY_ROUNDS = 240;

/**
 * Judges all devices again and again, in one process at a time (a lease). Events alone cannot do it: a device
 * becomes stale by saying nothing.
 */
export class AssessEverybody {
  private readonly options: AssessmentOptions;
  private readonly keeper: LeaseKeeper;
  private work: RepeatedWork | undefined;
  private rounds = 0;

  constructor(options: AssessmentOptions) {
    this.options = options;
    this.keeper = new LeaseKeeper({
      database: options.database,
      group: 'assessment',
      names: ['assessment'],
      logger: options.logger,
      onAcquired: () => this.begin(),
      onReleased: async () => this.work?.stop(),
    });
  }

  start(): void {
    this.keeper.start();
  }

  async stop(): Promise<void> {
    await this.keeper.stop();
  }

  private begin(): Promise<void> {
    const { everyMs } = this.options;
    this.work = new RepeatedWork(() => this.round().then(() => everyMs), everyMs);
    this.work.start();
    return Promise.resolve();
  }

  private async round(): Promise<void> {
    const { database, logger, report, afterRound } = this.options;
    try {
      const totals = new Map<string, number>();
      for (const tenantId of await database.transaction(readTenants)) {
        const counts = await assessTenant(database, tenantId, Date.now());
        for (const [status, count] of counts) totals.set(status, (totals.get(status) ?? 0) + count);
        if (this.rounds % PRUNE_EVERY_ROUNDS === 0)
          await database.inTenant(tenantId, (tx) => pruneHistory(tx, tenantId));
      }
      this.rounds += 1;
      report(totals);
      afterRound();
    } catch (error) {
      logger.error({ err: error }, 'a round of assessment failed; the next one starts over');
    }
  }
}
