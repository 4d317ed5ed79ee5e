import type { NatsConnection } from '@nats-io/transport-node';
import { backoffMs } from '@sync/domain';
import { RemoteError, request } from '@sync/messaging';
import { RegisterReply, SyncRegistration, subjects, validator, type Upcaster } from '@sync/protocol';
import type { EntityDefinition, EntityUpcaster } from './entity-definition.ts';
import type { OwnerLogger, OwnerMetrics } from './ports.ts';
import { faultsText } from './request-faults.ts';

/** What the gateway is told about a service: the registration part of each definition. */
export function registrationOf(service: string, entities: readonly EntityDefinition[]): SyncRegistration {
  return {
    service,
    entityTypes: entities.map((definition) => {
      const { entityType, schemaVersion, policy, review, projection, grants, upcasters } = definition;
      const { requiresTags } = definition;
      return {
        entityType,
        schemaVersion,
        policy,
        projection,
        pushChains: true,
        // Merging documents may take its time, and nobody should wait for another one’s.
        pushShares: !definition.documents,
        pushRefuses: true,
        ...(review && { review }),
        ...(grants && { grants }),
        ...(requiresTags && { requiresTags }),
        ...(upcasters && {
          upcasters: upcasters.map((upcaster) => registered(service, entityType, upcaster)),
        }),
      };
    }),
  };
}

/** A function stays here; the gateway asks for it on the entity type's own subject. */
function registered(service: string, entityType: string, upcaster: EntityUpcaster): Upcaster {
  if ('steps' in upcaster) return structuredClone(upcaster) as Upcaster;
  return { from: upcaster.from, subject: subjects.upcast(service, entityType) };
}

const checkRegistration = validator(SyncRegistration);
const checkReply = validator(RegisterReply);

/** Thrown at start: the service's own definitions do not make a valid SyncRegistration. */
export class RegistrationFaultError extends Error {
  override readonly name = 'RegistrationFaultError';
}

/** @throws RegistrationFaultError naming every offending path */
export function assertRegistration(registration: SyncRegistration): void {
  const checked = checkRegistration(registration);
  if (checked.ok) return;
  const faults = faultsText(checked.faults);
  throw new RegistrationFaultError(
    `The definitions of ${registration.service} cannot be registered: ${faults}`,
  );
}

const REQUEST_TIMEOUT_MS = 2_000;
const RETRY_BACKOFF = { baseMs: 200, capMs: 5_000 } as const;
const REPEAT_MS = 60_000;

/**
 * Registers the service until the gateway accepts, and again every minute and after each reconnect: a gateway
 * whose database was restored learns what it forgot, and registering what is known costs it one comparison.
 */
export class ServiceRegistration {
  readonly #nats: NatsConnection;
  readonly #registration: SyncRegistration;
  readonly #logger: OwnerLogger;
  readonly #metrics: OwnerMetrics;
  #timer: NodeJS.Timeout | undefined;
  #attempt: Promise<void> | undefined;
  #failures = 0;
  #accepted = false;
  #everAccepted = false;
  #stopped = false;

  constructor(
    nats: NatsConnection,
    registration: SyncRegistration,
    logger: OwnerLogger,
    metrics: OwnerMetrics,
  ) {
    assertRegistration(registration);
    this.#nats = nats;
    this.#registration = registration;
    this.#logger = logger;
    this.#metrics = metrics;
  }

  /** A gateway has accepted it since the start. */
  get accepted(): boolean {
    return this.#everAccepted;
  }

  /** Starts in the background: a gateway that is not there yet is waited for. */
  start(): void {
    void this.#followReconnects();
    this.#schedule(0);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#attempt;
  }

  #schedule(delayMs: number): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#attempt ??= this.#register().finally(() => (this.#attempt = undefined));
    }, delayMs);
    this.#timer.unref();
  }

  async #followReconnects(): Promise<void> {
    for await (const status of this.#nats.status()) {
      if (status.type === 'reconnect') this.#schedule(0);
    }
  }

  async #register(): Promise<void> {
    const { service } = this.#registration;
    try {
      await this.#ask();
      if (!this.#accepted) this.#logger.info({ owner: service }, 'the registration is accepted');
      this.#accepted = true;
      this.#everAccepted = true;
      this.#failures = 0;
      this.#metrics.registered(true);
      this.#schedule(REPEAT_MS);
    } catch (error) {
      this.#failures += 1;
      this.#accepted = false;
      this.#metrics.registered(false);
      const delayMs = backoffMs(this.#failures, RETRY_BACKOFF, Math.random());
      if (!this.#stopped) this.#report(error, delayMs);
      this.#schedule(delayMs);
    }
  }

  /** A gateway that starts later is normal; a refusal needs a person. */
  #report(error: unknown, delayMs: number): void {
    const { service } = this.#registration;
    if (error instanceof RemoteError) {
      const remedy =
        error.code === 'entity_type_taken'
          ? 'rename the entity type, or take it out of the other service’s registration'
          : error.code === 'forbidden'
            ? 'let the platform’s operators assign it to the service (SERVICE_RIGHTS_FILE)'
            : 'correct the entity definitions named in the message';
      const fields = { owner: service, code: error.code, reason: error.message, remedy, delayMs };
      this.#logger.error(fields, 'the gateway refuses the registration');
      return;
    }
    const remedy = 'start sync-gateway, or check that both use the same NATS';
    const fields = { owner: service, err: error, remedy, delayMs };
    if (this.#failures === 5) this.#logger.warn(fields, 'the gateway does not answer the registration');
    else this.#logger.debug(fields, 'the gateway does not answer the registration yet');
  }

  async #ask(): Promise<void> {
    await request(this.#nats, subjects.registerAs(this.#registration.service), this.#registration, {
      timeoutMs: REQUEST_TIMEOUT_MS,
      decode: (reply) => {
        const checked = checkReply(reply);
        if (!checked.ok) throw new TypeError(`not a RegisterReply: ${faultsText(checked.faults)}`);
      },
    });
  }
}
