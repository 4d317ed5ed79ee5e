import type { NatsConnection } from '@nats-io/transport-node';
import type { Database } from '@sync/postgres';
import { type RegisteredEntityType, subjects, type SyncRegistration } from '@sync/protocol';
import type { Logger } from '@sync/service-kit';
import type { RegisteredTypes } from './registered-types.ts';
import { loadRegistrations } from './registration-store.ts';

/** A service's registration with the time of its last change. */
export interface ServiceRegistration extends SyncRegistration {
  readonly updatedAt: string;
}

const REFRESH_MS = 30_000;
/** Refused mutations may ask for a refresh; together not more often than this. */
const MIN_REFRESH_GAP_MS = 1_000;

/**
 * This replica's copy of the registrations: read at start, whenever a replica gives notice of a change, and
 * every 30 s in case a notice was lost.
 */
export class Registry implements RegisteredTypes {
  readonly #database: Database;
  readonly #nats: NatsConnection;
  readonly #logger: Logger;
  #types: ReadonlyMap<string, RegisteredEntityType> = new Map();
  #services: readonly ServiceRegistration[] = [];
  #loading: Promise<void> | undefined;
  #loadedAtMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(database: Database, nats: NatsConnection, logger: Logger) {
    this.#database = database;
    this.#nats = nats;
    this.#logger = logger;
  }

  /** @throws the driver's error when the first read fails */
  async start(): Promise<void> {
    await this.reload();
    this.#nats.subscribe(subjects.registryChanged, { callback: () => this.#reloadInBackground() });
    this.#timer = setInterval(() => this.#reloadInBackground(), REFRESH_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  find(entityType: string): RegisteredEntityType | null {
    return this.#types.get(entityType) ?? null;
  }

  /** By service name. */
  get services(): readonly ServiceRegistration[] {
    return this.#services;
  }

  async refresh(): Promise<void> {
    if (Date.now() - this.#loadedAtMs >= MIN_REFRESH_GAP_MS) await this.reload();
  }

  /**
   * Reads what is there now: a read that is already under way may have begun too early, so it is waited for
   * and not shared.
   */
  async reload(): Promise<void> {
    await this.#loading?.catch(() => undefined);
    this.#loading ??= this.#load().finally(() => (this.#loading = undefined));
    await this.#loading;
  }

  /** After a change made here: read it, and tell the others. */
  async announceChange(): Promise<void> {
    await this.reload();
    this.#nats.publish(subjects.registryChanged);
  }

  async #load(): Promise<void> {
    const rows = await loadRegistrations(this.#database);
    this.#types = new Map(rows.map(({ entityType, service, spec }) => [entityType, { ...spec, service }]));
    this.#services = [...Map.groupBy(rows, ({ service }) => service)].map(([service, own]) => ({
      service,
      entityTypes: own.map(({ spec }) => spec),
      updatedAt: new Date(Math.max(...own.map(({ updatedAt }) => updatedAt.getTime()))).toISOString(),
    }));
    this.#loadedAtMs = Date.now();
  }

  #reloadInBackground(): void {
    this.reload().catch((error: unknown) => {
      this.#logger.warn({ err: error }, 'registrations cannot be read; the copy in memory stays');
    });
  }
}
