import type { NatsConnection } from '@nats-io/transport-node';
import {
  type MessagingMetrics,
  type NotStoringError,
  OutboxRelay,
  RemoteError,
  Responder,
} from '@sync/messaging';
import type { Database, Tx } from '@sync/postgres';
import {
  STREAMS,
  SnapshotRequest,
  subjects,
  validator,
  type SnapshotPage,
  type StreamDeclaration,
} from '@sync/protocol';
import { checkNode } from './check-node.ts';
import { changeEntities, lockEntities, type ChangeResult } from './change-entities.ts';
import type { EntityDefinition } from './entity-definition.ts';
import type { EntityData } from './entity-store.ts';
import type { ServerChange } from './handler-answer.ts';
import { inboxPruning } from './inbox-pruning.ts';
import { noOwnerMetrics, type OwnerLogger, type OwnerMetrics } from './ports.ts';
import type { PushContext } from './push/answer-push.ts';
import { respondToPush } from './push/push-responder.ts';
import { faultsText, unavailableOr } from './request-faults.ts';
import { ServiceRegistration, registrationOf } from './service-registration.ts';
import { hasUpcastFunctions, respondToUpcast } from './upcast-responder.ts';
import { SnapshotCursorError, readSnapshotPage } from './snapshot.ts';

/** What {@link startOwner} works with. */
export interface OwnerOptions {
  /** Name on the wire: `^[a-z][a-z0-9-]{0,63}$`. Replicas share it. */
  readonly service: string;
  /** Connected as the app role to a database with {@link ownerMigrations}. */
  readonly database: Database;
  readonly nats: NatsConnection;
  readonly entities: readonly EntityDefinition[];
  readonly logger: OwnerLogger;
  readonly metrics?: OwnerMetrics;
  /** Of the relay. */
  readonly hopMetrics?: MessagingMetrics;
  /** How long answers to mutations are kept. Longer than the gateway goes on asking; default 90 days. */
  readonly inboxRetentionDays?: number;
  /** Streams that the service writes besides its domain events; its relay sends them too. */
  readonly alsoRelays?: readonly StreamDeclaration[];
  /** The clock, for tests. */
  readonly now?: () => Date;
}

/** A running owner. */
export interface Owner {
  /**
   * Reads entities for a change that depends on them, and keeps everybody else from changing them until the
   * transaction ends. What does not exist cannot be locked and is left out.
   *
   * @param tx a transaction of this tenant
   * @throws InvalidChangeError for an entity type that is not defined here
   */
  lock(
    tx: Tx,
    tenantId: string,
    entityType: string,
    entityIds: readonly string[],
  ): Promise<ReadonlyMap<string, EntityData>>;
  /**
   * The service's own changes, inside its transaction: versions, the entities' rows (by their `store`) and
   * events. Call {@link Owner.kick} after the commit. Of several changes of one entity the last counts.
   *
   * @param tx a transaction of this tenant (`database.inTenant`)
   * @returns the revisions made, without the `ifAbsent` ones that found their entity
   * @throws InvalidChangeError for an entity type that is not defined here, or data that cannot be stored
   */
  change(tx: Tx, tenantId: string, changes: readonly ServerChange[]): Promise<ChangeResult[]>;
  /**
   * Like `change`, for entities whose rows the service writes itself, before or after in the same
   * transaction.
   */
  announce(tx: Tx, tenantId: string, changes: readonly ServerChange[]): Promise<ChangeResult[]>;
  /**
   * Whether a gateway has accepted the registration since the start: until then devices are told that the
   * entity types are unknown.
   */
  registered(): boolean;
  /**
   * Why events have not reached JetStream for a while although NATS can be reached: for the service's
   * readiness.
   */
  standstill(): NotStoringError | undefined;
  /** Sends what was committed now; without it the relay finds it within four seconds. */
  kick(): void;
  /** Answers what is in hand and hands the outbox over. The connections stay open: they are the caller's. */
  stop(): Promise<void>;
}

const checkSnapshot = validator(SnapshotRequest);

/**
 * Makes a service the owner of its entity types: registers them, answers pushes and snapshots, relays its
 * events.
 *
 * @throws RegistrationFaultError when the definitions do not make a valid SyncRegistration
 * @throws Error on a Node that is too old
 */
export function startOwner(options: OwnerOptions): Owner {
  checkNode();
  const { service, database, nats, entities, logger, metrics = noOwnerMetrics } = options;
  const now = options.now ?? ((): Date => new Date());
  const definitions = new Map(entities.map((definition) => [definition.entityType, definition]));
  if (definitions.size !== entities.length) throw new TypeError(`${service} defines an entity type twice`);
  const registration = new ServiceRegistration(nats, registrationOf(service, entities), logger, metrics);
  const relay = new OutboxRelay({
    database,
    nats,
    producer: service,
    streams: [STREAMS.DOMAIN_EVENTS, ...(options.alsoRelays ?? [])],
    logger,
    ...(options.hopMetrics ? { metrics: options.hopMetrics } : {}),
  });
  const pruner = inboxPruning(database, logger, options.inboxRetentionDays ?? 90);
  const kick = (): void => relay.kick();
  const context = { service, definitions, database, logger, now, metrics, kick };
  relay.start();
  pruner.start();
  const responders = entities.flatMap((definition) => respondersOf(context, nats, definition));
  registration.start();
  return {
    lock: (tx, tenantId, entityType, entityIds) => lockEntities(tx, context, tenantId, entityType, entityIds),
    change: (tx, tenantId, changes) =>
      changeEntities(tx, context, tenantId, changes, { nowIso: now().toISOString() }),
    announce: (tx, tenantId, changes) =>
      changeEntities(tx, context, tenantId, changes, { nowIso: now().toISOString(), stored: true }),
    registered: () => registration.accepted,
    standstill: () => relay.standstill(),
    kick,
    async stop() {
      await registration.stop();
      await Promise.all(responders.map((responder) => responder.stop()));
      await pruner.stop();
      await relay.stop();
    },
  };
}

function respondersOf(
  context: PushContext & { readonly metrics: OwnerMetrics; readonly kick: () => void },
  nats: NatsConnection,
  definition: EntityDefinition,
): Responder[] {
  const { service, logger, database } = context;
  const { entityType } = definition;
  const shared = { nats, queue: service, logger };
  const upcasting = {
    ...shared,
    subject: subjects.upcast(service, entityType),
    handle: async (request: unknown) => respondToUpcast(definition, request, logger),
  };
  return [
    ...(hasUpcastFunctions(definition) ? [new Responder(upcasting)] : []),
    new Responder({
      ...shared,
      subject: subjects.push(service, entityType),
      handle: (request) => respondToPush(context, definition, request),
    }),
    new Responder({
      ...shared,
      subject: subjects.snapshot(service, entityType),
      handle: (request) => respondToSnapshot(database, definition, request),
    }),
  ];
}

async function respondToSnapshot(
  database: Database,
  definition: EntityDefinition,
  value: unknown,
): Promise<SnapshotPage> {
  const request = checkSnapshot(value);
  if (!request.ok) {
    throw new RemoteError('schema_invalid', `not a SnapshotRequest: ${faultsText(request.faults)}`);
  }
  return readSnapshotPage(database, definition, request.value).catch((error: unknown) => {
    if (error instanceof SnapshotCursorError) throw new RemoteError('cursor_invalid', error.message);
    return unavailableOr(error);
  });
}
