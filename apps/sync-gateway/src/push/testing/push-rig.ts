import { randomUUID } from 'node:crypto';
import type { NatsConnection } from '@nats-io/transport-node';
import { connectNats, Responder } from '@sync/messaging';
import { type RunningNats, startNats } from '@sync/messaging/testing';
import { createTestDatabase, startPostgres, type TestDatabase } from '@sync/postgres/testing';
import {
  type DeletedDataRequest,
  type EntityTypeRegistration,
  type LocalMutation,
  type Outcome,
  type RegisteredEntityType,
  subjects,
  type SyncEvent,
} from '@sync/protocol';
import { createLogger, type Logger, Metrics } from '@sync/service-kit';
import { DeviceBindings } from '../../access/device-bindings.ts';
import { MIGRATIONS, FUNCTIONS } from '../../database/schema.ts';
import { DispatchDevice } from '../../dispatch/dispatch-device.ts';
import { DispatchStore } from '../../dispatch/dispatch-store.ts';
import { FindHidden } from '../../dispatch/find-hidden.ts';
import { RegistrationEntity } from '../../registration/registration-entity.ts';
import { AcceptPush } from '../accept-push.ts';
import { AskDeleted } from '../decide/ask-deleted.ts';
import { DecideLanes } from '../decide/decide-lanes.ts';
import { KeepDecisions } from '../ledger/keep-decisions.ts';
import { LedgerStore } from '../ledger/ledger-store.ts';
import { ReadHeads } from '../../read-model/read-heads.ts';
import type { Author } from '../outcome/settlement.ts';
import { AskUpcaster } from '../owners/ask-upcaster.ts';
import { LiftMutations } from '../owners/lift-mutations.ts';
import { SendToOwner } from '../owners/send-to-owner.ts';
import type { Admission } from '../prepare/admit-mutation.ts';
import { VerifyTags } from '../prepare/verify-tags.ts';
import { TestIdentity } from '../../testing/test-identity.ts';
import { PushMetrics } from '../push-metrics.ts';
import { SettleMutations } from '../settle-mutations.ts';
import { TestOwner } from './test-owner.ts';

const scopes = ['user:{userId}'];

function typeOf(
  entityType: string,
  policy: EntityTypeRegistration['policy'],
  more: Partial<EntityTypeRegistration> = {},
): RegisteredEntityType {
  const projection = { kind: 'declarative' as const, fields: '*' as const, scopes };
  return {
    service: 'learning',
    entityType,
    schemaVersion: 1,
    policy,
    projection,
    pushChains: true,
    pushShares: true,
    ...more,
  };
}

export const TYPES: readonly RegisteredEntityType[] = [
  typeOf('statement', 'append_only'),
  typeOf('progress', 'lww'),
  typeOf('bookmark', 'lww', { requiresTags: true }),
  typeOf('note', 'lww', { review: 'collisions' }),
  typeOf('enrollment', 'server_authoritative'),
  typeOf('document', 'crdt_yjs', {
    projection: { kind: 'declarative', fields: '*', scopes, docUpdateField: 'body' },
  }),
];

export const silent = createLogger({ service: 'test', level: 'silent' });

/** A gateway's write side on real Postgres and NATS, with one owning service and what a projector answers. */
export interface PushRig {
  readonly test: TestDatabase;
  readonly nats: NatsConnection;
  readonly owner: TestOwner;
  readonly identity: TestIdentity;
  readonly bindings: DeviceBindings;
  readonly metrics: PushMetrics;
  readonly acceptPush: AcceptPush;
  readonly ledger: LedgerStore;
  readonly store: DispatchStore;
  readonly dispatchDevice: DispatchDevice;
  readonly types: Map<string, RegisteredEntityType>;
  /** Registered, but not read by this replica before it refreshes. */
  readonly lateTypes: RegisteredEntityType[];
  /** Devices that were told of new outcomes. */
  readonly told: Author[];
  push(author: Author, mutations: readonly object[], sentAt?: string): Promise<Outcome[]>;
  pushTexts(author: Author, mutations: readonly object[]): Promise<string[]>;
  /** Makes all open work of the device due, and works on it once. @returns how many mutations were ended */
  dispatch(author: Author): Promise<number>;
  /**
   * As if the time until then had passed; not while a push or a dispatcher has some of it in its hands, which
   * would take it from them.
   */
  makeDue(author: Author): Promise<void>;
  /**
   * Works once on what of the devices is due by itself, side by side. @returns how many mutations were ended
   */
  dispatchDue(...authors: readonly Author[]): Promise<number>;
  /** Terminal outcomes that wait for the device's next pull. */
  waiting(author: Author): Promise<Outcome[]>;
  syncEvents(): Promise<SyncEvent[]>;
  /** Nobody says any more what was deleted. */
  stopProjector(): Promise<void>;
  stop(): Promise<void>;
}

interface RigOptions {
  /** Of what asks owners. */
  readonly logger?: Logger;
  readonly ownerTimeoutMs?: number;
  /** The gateway sends the events that list every mutation, too. */
  readonly listsMutations?: boolean;
  /** A database that is there already; one of its own when not given. */
  readonly test?: TestDatabase;
}

export async function startPushRig(options: RigOptions = {}): Promise<PushRig> {
  const test = options.test ?? (await ownDatabase());
  const server: RunningNats = await startNats({ own: true });
  const nats = await connectNats({ url: server.url, name: 'push-rig', logger: silent });
  const owner = new TestOwner(nats, test.database, TYPES);
  owner.start();
  const projector = new Responder({
    nats,
    subject: subjects.deletedData,
    queue: 'projector',
    handle: async (body) => owner.deletedData(body as DeletedDataRequest),
    logger: silent,
  });
  const identity = await TestIdentity.start(nats);
  const parts = wire(test, nats, options);
  const dispatchDue = async (...authors: readonly Author[]): Promise<number> => {
    if (authors.length === 0) return 0;
    const { devices } = await parts.store.take(100);
    const own = devices.filter(({ deviceId }) => authors.some((author) => author.deviceId === deviceId));
    const ended = await Promise.all(own.map((device) => parts.dispatchDevice.execute(device, silent)));
    return ended.reduce((sum, count) => sum + count, 0);
  };
  return {
    test,
    nats,
    owner,
    identity,
    ...parts,
    push: async (author, mutations, sentAt) => {
      // One moment for both: a push takes no time here, which would count as an offset of the device's clock.
      const now = new Date();
      const body = { sentAt: sentAt ?? now.toISOString(), mutations: mutations as LocalMutation[] };
      const texts = await parts.acceptPush.execute(author, body, now.getTime(), false);
      return texts.map((text) => JSON.parse(text) as Outcome);
    },
    pushTexts: (author, mutations) => {
      const now = new Date();
      const body = { sentAt: now.toISOString(), mutations: mutations as LocalMutation[] };
      return parts.acceptPush.execute(author, body, now.getTime(), false);
    },
    dispatch: async (author) => {
      await makeDue(test, author);
      return dispatchDue(author);
    },
    makeDue: (author) => makeDue(test, author),
    dispatchDue,
    waiting: (author) => waitingOutcomes(test, author),
    syncEvents: () => readSyncEvents(test),
    stopProjector: () => projector.stop(),
    stop: async () => {
      await projector.stop();
      await identity.stop();
      await nats.close();
      await server.stop();
      await test.drop();
    },
  };
}

async function ownDatabase(): Promise<TestDatabase> {
  return createTestDatabase({
    postgres: await startPostgres(),
    name: 'push',
    migrations: MIGRATIONS,
    functions: FUNCTIONS,
    entities: [RegistrationEntity],
  });
}

function wire(
  { database }: TestDatabase,
  nats: NatsConnection,
  { ownerTimeoutMs = 3_000, listsMutations = false, logger = silent }: RigOptions,
): Pick<
  PushRig,
  | 'acceptPush'
  | 'ledger'
  | 'store'
  | 'dispatchDevice'
  | 'told'
  | 'types'
  | 'lateTypes'
  | 'metrics'
  | 'bindings'
> {
  const types = new Map(TYPES.map((type) => [type.entityType, type]));
  const lateTypes: RegisteredEntityType[] = [];
  const registered = {
    find: (entityType: string) => types.get(entityType) ?? null,
    refresh: async () => {
      for (const type of lateTypes.splice(0)) types.set(type.entityType, type);
    },
  };
  const told: Author[] = [];
  const outcomesStored = (author: Author): void => void told.push(author);
  const metrics = new PushMetrics(new Metrics('test'));
  const ledger = new LedgerStore(database, { visibleMs: 20_000, maxOpen: 50, listsMutations });
  const heads = new ReadHeads(database);
  const owners = new SendToOwner(nats, logger, metrics, ownerTimeoutMs);
  const lifter = new LiftMutations(new AskUpcaster(nats, silent));
  const settler = new SettleMutations(
    owners,
    new DecideLanes(heads, new AskDeleted(nats, silent)),
    heads,
    lifter,
    new KeepDecisions(database),
    metrics,
  );
  const bindings = new DeviceBindings({ nats, database, graceMs: 24 * 3_600_000 });
  const admission: Admission = {
    types: registered,
    tags: new VerifyTags(bindings),
    noteRefused: (_author, { code, when, mutationIds }) => {
      metrics.refusedTags.inc({ code, when }, mutationIds.length);
    },
  };
  const acceptPush = new AcceptPush(ledger, settler, heads, admission, metrics, outcomesStored);
  const store = new DispatchStore(database);
  const hidden = new FindHidden(nats, silent);
  const noteTampered = (): void => metrics.tampered.inc();
  const lastResorts = { hidden, giveUpAfterMs: 24 * 3_600_000, noteTampered };
  const dispatchDevice = new DispatchDevice(store, ledger, settler, admission, lastResorts, outcomesStored);
  return { acceptPush, ledger, store, told, types, lateTypes, dispatchDevice, metrics, bindings };
}

async function makeDue({ database }: TestDatabase, { tenantId, deviceId }: Author): Promise<void> {
  await database.inTenant(tenantId, async (tx) => {
    await tx.query(
      `UPDATE mutation SET next_attempt_at = now() WHERE device_id = $1 AND terminal_at IS NULL`,
      [deviceId],
    );
    await tx.query(`UPDATE dispatch_queue SET next_attempt_at = now() WHERE device_id = $1`, [deviceId]);
  });
}

async function waitingOutcomes(
  { database }: TestDatabase,
  { tenantId, deviceId }: Author,
): Promise<Outcome[]> {
  const rows = await database.inTenant(tenantId, (tx) =>
    tx.query<{ outcome: string }>(
      `SELECT outcome_in_scope(tenant_id, user_id, scope, outcome) AS outcome FROM mutation
       WHERE device_id = $1 AND terminal_at IS NOT NULL AND acked_at IS NULL ORDER BY arrival`,
      [deviceId],
    ),
  );
  return rows.map((row) => JSON.parse(row.outcome) as Outcome);
}

async function readSyncEvents({ database }: TestDatabase): Promise<SyncEvent[]> {
  const rows = await database.transaction((tx) =>
    tx.query<{ payload: string }>(`SELECT payload FROM sync_outbox WHERE stream = 'SYNC_EVENTS' ORDER BY id`),
  );
  return rows.flatMap((row) => JSON.parse(row.payload) as SyncEvent[]);
}

/** A device of a new user in a tenant of its own, so that tests share one database without meeting. */
export function newAuthor(): Author {
  const id = randomUUID().slice(0, 8);
  return { tenantId: `t-${id}`, userId: `u-${id}`, deviceId: `d-${id}` };
}

let sequence = 0;

/** A put of a progress in the author's own scope, unless `changes` says otherwise. */
export function mutationOf(author: Author, changes: Partial<LocalMutation> = {}): LocalMutation {
  sequence += 1;
  return {
    mutationId: randomUUID(),
    sequence,
    scope: `user:${author.userId}`,
    entityType: 'progress',
    entityId: `p-${sequence}`,
    op: 'put',
    data: { userId: author.userId, courseId: 'c1', percent: 10 },
    baseClock: {},
    occurredAt: new Date().toISOString(),
    schemaVersion: 1,
    ...changes,
  };
}
