import { backoffMs } from '@sync/domain';
import { IdlePause, LeaseKeeper, LeaseLostError, RepeatedWork, type Lease } from '@sync/messaging';
import type { Database } from '@sync/postgres';
import type { Logger } from '@sync/service-kit';
import type { ProjectedType } from '../projection/projected-type.ts';
import { markPlain, readProgress } from './backfill-store.ts';
import type { BackfillType } from './backfill-type.ts';
import { dueBackfill, type BackfillProgress, type DueBackfill } from './due-backfill.ts';

export interface BackfillWorkerOptions {
  readonly database: Database;
  readonly backfill: BackfillType;
  /** All registered entity types at this moment. */
  readonly types: () => readonly ProjectedType[];
  readonly logger: Logger;
  readonly reconcileMs: number;
}

interface HeldType {
  readonly lease: Lease;
  /** Set while a run is under way. */
  running: Promise<void> | undefined;
  stopped: boolean;
  failures: number;
  notBeforeMs: number;
}

/** Only what another replica was asked for, or what is due by the clock, waits for a look. */
const BUSY_MS = 5_000;
const IDLE_MS = 20_000;
const RETRY_BACKOFF = { baseMs: 500, capMs: 30_000 } as const;

/**
 * Runs what backfills are due, each entity type in one worker at a time: its lease `backfill:<entityType>`,
 * spread over the workers like partitions. A type whose service does not answer waits by itself.
 */
export class BackfillWorker {
  readonly #options: BackfillWorkerOptions;
  readonly #held = new Map<string, HeldType>();
  readonly #plain = new Set<string>();
  #keeper: LeaseKeeper | undefined;
  #keeperNames = '';
  readonly #pause: IdlePause;
  readonly #looking = new RepeatedWork(() => this.#pass());

  constructor(options: BackfillWorkerOptions) {
    this.#options = options;
    const idleMs = Math.max(BUSY_MS, Math.min(IDLE_MS, options.reconcileMs));
    this.#pause = new IdlePause({ busyMs: BUSY_MS, idleMs });
  }

  start(): void {
    this.#looking.start();
  }

  /** Ends after the pages in hand and gives the leases back. */
  async stop(): Promise<void> {
    await this.#looking.stop();
    await this.#keeper?.stop();
  }

  /** Looks for due backfills now: after a registration changed, a rebuild was asked for. Never throws. */
  look(): void {
    this.#looking.within(0);
  }

  /**
   * Notes that events of these types came without numbers: they are compared with their snapshot from time to
   * time.
   */
  notePlain(entityTypes: Iterable<string>): void {
    const fresh = [...new Set(entityTypes)].filter((type) => !this.#plain.has(type));
    if (fresh.length === 0) return;
    markPlain(this.#options.database, fresh).then(
      (noted) => {
        for (const type of noted) this.#plain.add(type);
      },
      (error: unknown) =>
        this.#options.logger.debug({ err: error }, 'plain types are noted with their next event'),
    );
  }

  /** @returns how long to pause before the next look */
  async #pass(): Promise<number> {
    try {
      return this.#pause.after(await this.#look());
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'could not look for due backfills');
      return BUSY_MS;
    }
  }

  /** @returns whether there was something to do */
  async #look(): Promise<boolean> {
    const { types, database, reconcileMs } = this.#options;
    const all = new Map(types().map((type) => [type.registration.entityType, type.registration]));
    await this.#keepLeases([...all.keys()].sort());
    const free = [...this.#held].filter(
      ([, held]) => held.running === undefined && held.notBeforeMs <= performance.now(),
    );
    if (free.length === 0) return false;
    let found = false;
    const progress = await readProgress(
      database,
      free.map(([entityType]) => entityType),
    );
    for (const [entityType, held] of free) {
      const type = all.get(entityType);
      const known = progress.get(entityType);
      const due = type === undefined ? null : dueBackfill(type, known, Date.now(), reconcileMs);
      if (type === undefined || due === null) continue;
      found = true;
      held.running = this.#run(type, known, due, held).finally(() => (held.running = undefined));
    }
    return found;
  }

  async #run(
    type: ProjectedType['registration'],
    known: BackfillProgress | undefined,
    due: DueBackfill,
    held: HeldType,
  ): Promise<void> {
    const { backfill, logger } = this.#options;
    const { entityType, service } = type;
    try {
      const progress =
        due.kind === 'continue' && known !== undefined
          ? known
          : await backfill.start(
              type,
              due.kind === 'start' ? due : { reason: 'first_seen', sweep: false },
              held.lease,
            );
      const { reason, sweep } = progress;
      logger.debug(
        { entityType, owner: service, reason, sweep, cursor: progress.cursor },
        'reading a snapshot',
      );
      const entities = await backfill.run(type, progress, held.lease, () => held.stopped);
      held.failures = 0;
      if (entities === null) {
        this.look();
        return;
      }
      logger.info({ entityType, owner: service, reason, sweep, entities }, 'read a snapshot');
    } catch (error) {
      if (error instanceof LeaseLostError) return;
      held.failures += 1;
      const pauseMs = backoffMs(held.failures, RETRY_BACKOFF, Math.random());
      held.notBeforeMs = performance.now() + pauseMs;
      this.#looking.within(pauseMs);
      const fields = { err: error, entityType, owner: service, failures: held.failures };
      if (held.failures === 5)
        logger.warn(fields, 'a snapshot cannot be read; start the service, or see its log');
      else logger.debug(fields, 'a snapshot cannot be read yet');
    }
  }

  /** The names of a lease keeper are fixed, so a new set of entity types gets a new keeper. */
  async #keepLeases(entityTypes: readonly string[]): Promise<void> {
    const { database, logger } = this.#options;
    const names = JSON.stringify(entityTypes);
    if (names === this.#keeperNames) return;
    await this.#keeper?.stop();
    this.#keeperNames = names;
    if (entityTypes.length === 0) return;
    this.#keeper = new LeaseKeeper({
      database,
      group: 'backfill',
      names: entityTypes.map((entityType) => `backfill:${entityType}`),
      logger,
      onAcquired: (lease) => {
        const entityType = lease.name.slice('backfill:'.length);
        this.#held.set(entityType, {
          lease,
          running: undefined,
          stopped: false,
          failures: 0,
          notBeforeMs: 0,
        });
        this.look();
      },
      onReleased: async (lease) => {
        const entityType = lease.name.slice('backfill:'.length);
        const held = this.#held.get(entityType);
        if (held?.lease !== lease) return;
        this.#held.delete(entityType);
        held.stopped = true;
        await held.running;
      },
    });
    this.#keeper.start();
  }
}
