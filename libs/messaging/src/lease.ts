import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Database, Tx } from '@sync/postgres';
import {
  leaseTicks,
  type LeaseTicks,
  type TickedGroup,
  type TickRequest,
  type TickRow,
} from './lease-ticks.ts';
import { noMetrics, type MessagingLogger, type MessagingMetrics } from './ports.ts';

/** The right to be the only writer of something, valid while the row in `sync_lease` says so. */
export interface Lease {
  readonly name: string;
  readonly holder: string;
  /** Grows with every change of holder; a decimal string because it is a Postgres bigint. */
  readonly token: string;
}

/** Thrown inside a transaction whose lease is no longer held: it must roll back, so it writes 0 rows. */
export class LeaseLostError extends Error {
  override readonly name = 'LeaseLostError';
}

/**
 * Fails the transaction unless the lease is still held, by the database's clock, and keeps it from being
 * taken over until the transaction ends: KEY SHARE lets renewals through (they change no key) and blocks a
 * takeover's FOR UPDATE.
 *
 * @throws LeaseLostError
 */
export async function assertLease(tx: Pick<Tx, 'call'>, lease: Lease): Promise<void> {
  const held = await tx.call(
    'sync_assert_lease',
    `SELECT 1 FROM sync_lease
     WHERE name = $1 AND holder = $2 AND token = $3 AND expires_at > clock_timestamp() FOR KEY SHARE`,
    [lease.name, lease.holder, lease.token],
  );
  if (held.length === 0) throw new LeaseLostError(`Lease ${lease.name} is no longer held`);
}

/** Names this process in `sync_lease`: readable, and never the same again after a restart. */
export function newHolderId(): string {
  return `${hostname()}-${process.pid}-${randomBytes(4).toString('hex')}`;
}

export interface LeaseKeeperOptions {
  readonly database: Pick<Database, 'call'>;
  /** Workers of one group share `names` evenly. */
  readonly group: string;
  readonly names: readonly string[];
  readonly logger: MessagingLogger;
  readonly metrics?: MessagingMetrics;
  /** Called once per lease won; a rejection is logged and gives the lease back. */
  readonly onAcquired: (lease: Lease) => Promise<void> | void;
  /**
   * Called when a lease is to be given back or has been lost; the lease is released when it resolves. After
   * `lost`, the database already refuses this holder's writes.
   */
  readonly onReleased: (lease: Lease, why: 'released' | 'lost') => Promise<void> | void;
  readonly holder?: string;
  readonly ttlMs?: number;
  readonly renewMs?: number;
}

/** Below its share a worker asks often: a starting worker waits for the others to hand over. */
const EAGER_TICK_MS = 250;

/**
 * Holds this worker's fair share of named leases: n names over m live workers, at most one more than anybody
 * else. One statement per `renewMs` renews everything, also what other keepers of this process hold in the
 * same database. A worker that starts gets its share as the others release their surplus; one that is killed
 * loses its leases after `ttlMs` at most, and the others take them within moments of that.
 */
export class LeaseKeeper {
  readonly holder: string;
  readonly #options: LeaseKeeperOptions;
  readonly #metrics: MessagingMetrics;
  readonly #ttlMs: number;
  readonly #renewMs: number;
  readonly #held = new Map<string, Lease>();
  readonly #releasing = new Map<string, Promise<void>>();
  readonly #ticks: LeaseTicks;
  readonly #ticked: TickedGroup = {
    ask: () => this.#ask(),
    hear: (rows) => this.#hear(rows),
    fail: (error) => this.#fail(error),
  };
  /** Leases whose end is complete, to notice that one ended while a statement was on its way. */
  #ended = 0;
  #endedBefore = 0;

  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
    this.holder = options.holder ?? newHolderId();
    this.#metrics = options.metrics ?? noMetrics;
    this.#ttlMs = options.ttlMs ?? 5_000;
    this.#renewMs = options.renewMs ?? 1_500;
    this.#ticks = leaseTicks(options.database);
  }

  /** Leases held now, without those being given back. */
  held(): Lease[] {
    return [...this.#held.values()].filter((lease) => !this.#releasing.has(lease.name));
  }

  start(): void {
    this.#ticks.join(this.#ticked);
  }

  /** Gives everything back, so that others go on at once and not after the time to live. */
  async stop(): Promise<void> {
    await this.#ticks.leave(this.#ticked);
    await Promise.all([...this.#held.values()].map((lease) => this.#release(lease)));
    await this.#giveBack([], true).catch((error: unknown) => {
      this.#options.logger.warn(
        { err: error, group: this.#options.group },
        'leases end by their time to live',
      );
    });
  }

  #ask(): TickRequest {
    this.#endedBefore = this.#ended;
    const { group, names } = this.#options;
    return { group, names, holder: this.holder, ttlMs: this.#ttlMs };
  }

  #fail(error: unknown): number {
    // Nothing to decide here: while the database is away nobody can write under these leases either.
    this.#options.logger.warn({ err: error, group: this.#options.group }, 'could not renew leases');
    return EAGER_TICK_MS;
  }

  /** @returns milliseconds until the next tick */
  #hear(rows: readonly TickRow[]): number {
    const current = new Map<string, Lease>();
    for (const { name, token } of rows) {
      if (name !== null && token !== null) current.set(name, { name, token, holder: this.holder });
    }
    for (const lease of [...this.#held.values()]) {
      const ending = this.#releasing.has(lease.name);
      if (!ending && current.get(lease.name)?.token !== lease.token) this.#lose(lease);
    }
    for (const lease of current.values()) {
      // The answer may still show what was given back meanwhile; the next tick follows at once and knows
      // better.
      if (this.#endedBefore !== this.#ended) break;
      if (!this.#held.has(lease.name) && !this.#releasing.has(lease.name)) this.#win(lease);
    }
    const target = rows[0]?.target ?? 0;
    for (const lease of this.held().slice(target)) void this.#release(lease);
    const nextExpiryMs = rows[0]?.next_expiry_ms ?? this.#renewMs;
    const patienceMs = current.size < target ? EAGER_TICK_MS : this.#renewMs;
    return Math.max(10, Math.min(patienceMs, nextExpiryMs + 5));
  }

  #win(lease: Lease): void {
    this.#held.set(lease.name, lease);
    this.#metrics.leaseMoved(this.#options.group, 'acquired');
    this.#options.logger.debug({ lease: lease.name, token: lease.token }, 'took a lease');
    void Promise.resolve(lease)
      .then(this.#options.onAcquired)
      .catch((error: unknown) => {
        this.#options.logger.error({ err: error, lease: lease.name }, 'could not start under a lease');
        return this.#release(lease);
      });
  }

  #lose(lease: Lease): void {
    this.#held.delete(lease.name);
    this.#metrics.leaseMoved(this.#options.group, 'lost');
    this.#options.logger.warn({ lease: lease.name, token: lease.token }, 'lost a lease');
    // Kept as releasing until the old work has ended, so that it never runs beside new work under the next
    // token.
    void this.#end(lease, 'lost', async () => undefined);
  }

  #release(lease: Lease): Promise<void> {
    this.#metrics.leaseMoved(this.#options.group, 'released');
    return this.#end(lease, 'released', async () => {
      await this.#giveBack([lease.name], false);
      this.#options.logger.debug({ lease: lease.name }, 'gave a lease back');
    });
  }

  #end(lease: Lease, why: 'released' | 'lost', then: () => Promise<void>): Promise<void> {
    const running = this.#releasing.get(lease.name);
    if (running !== undefined) return running;
    const ending = Promise.resolve()
      .then(() => this.#options.onReleased(lease, why))
      .then(then)
      .catch((error: unknown) => {
        this.#options.logger.warn({ err: error, lease: lease.name }, 'could not give a lease back cleanly');
      })
      .finally(() => {
        if (this.#held.get(lease.name) === lease) this.#held.delete(lease.name);
        this.#releasing.delete(lease.name);
        this.#ended += 1;
        this.#ticks.soon();
      });
    this.#releasing.set(lease.name, ending);
    return ending;
  }

  async #giveBack(names: readonly string[], leave: boolean): Promise<void> {
    const values = [this.#options.group, this.holder, names, leave];
    await this.#options.database.call(
      'sync_lease_release',
      'SELECT sync_lease_release($1, $2, $3, $4)',
      values,
    );
  }
}
