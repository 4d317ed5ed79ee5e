import { type Clock, type DeviceIdentity, systemClock } from '@sync/client';
import type { ConflictRecord, Outcome, RemoteDelta } from '@sync/protocol';
import { DeviceLink } from '../network/device-link.ts';
import { tell } from '../push/tell.ts';
import { Pulls } from '../pull/pull.ts';
import { type DeviceCall, answerCall } from './answer-call.ts';
import { changeByService } from './change-entity.ts';
import { Device } from './device.ts';
import { type TestData, type TestEntityType, knownTypes } from './entity-types.ts';
import { RefusedRequest } from './refused-request.ts';
import { keyOf } from './scope-log.ts';
import { Tenant, type World, withoutDocument } from './tenant.ts';

/** What a {@link TestServer} is made with. */
export interface TestServerOptions {
  readonly entities: Readonly<Record<string, TestEntityType>>;
  /** Of the server, and of what waits on it. Default: that of the system. */
  readonly clock?: Clock;
  /** Of cursors, so that nobody can make one. Tests have no reason to keep it. */
  readonly secret?: string;
}

/** Who asks. */
export type Caller = DeviceIdentity;

/** A device. `tenantId` is `test` where nothing is said, here as everywhere. */
export type Named = Omit<DeviceIdentity, 'tenantId'> & Partial<Pick<DeviceIdentity, 'tenantId'>>;

/** Where an entity goes: `scope` has to be named where it is new and its type has no templates. */
export interface Place {
  readonly tenantId?: string;
  readonly scope?: string;
}

/**
 * @returns a server in memory that keeps the rules of protocol v1, of which the conformance kit checks it.
 *   Everything that it is asked for has happened when the answer comes
 * @throws TypeError for a type with `crdt_yjs` and without `documents`, and for one called `conflict`
 */
export function createTestServer(options: TestServerOptions): TestServer {
  return new TestServer(options);
}

const DEFAULT_TENANT = 'test';
const BY_HAND = 'by hand';

export class TestServer {
  readonly #world: World;
  readonly #clock: Clock;
  readonly #pulls: Pulls;
  readonly #tenants = new Map<string, Tenant>();

  constructor({ entities, clock = systemClock, secret = 'of one test' }: TestServerOptions) {
    this.#clock = clock;
    this.#world = { types: knownTypes(entities), now: () => clock.now(), secret };
    this.#pulls = new Pulls(clock);
  }

  /** Binds a device. @returns its way to the server, with whatever is to go wrong on it */
  device({ tenantId = DEFAULT_TENANT, userId, deviceId }: Named): DeviceLink {
    const identity = { tenantId, userId, deviceId };
    this.bindDevice(identity);
    return new DeviceLink(identity, (call) => this.answer(identity, call), this.#clock);
  }

  /**
   * A device that talks to the server by other means than {@link device}.
   * @param key the 32 bytes by which its tags are checked; null: it may make any
   */
  bindDevice({ tenantId, userId, deviceId }: Caller, key: Uint8Array | null = null): void {
    const { devices } = this.#tenant(tenantId);
    if (!devices.has(deviceId)) devices.set(deviceId, new Device(deviceId, userId, key));
  }

  /** Of a device that is not bound to this user: undefined. */
  deviceOf({ tenantId, userId, deviceId }: Caller): Device | undefined {
    const device = this.#tenant(tenantId).devices.get(deviceId);
    return device?.userId === userId ? device : undefined;
  }

  /** The device is refused from here on. */
  revokeDevice(deviceId: string): void {
    for (const tenant of this.#tenants.values()) {
      const device = tenant.devices.get(deviceId);
      if (!device) continue;
      device.isRevoked = true;
      tenant.announce();
    }
  }

  /**
   * A request of a device that has proven who it is.
   * @throws RefusedRequest with its problem
   */
  async answer(caller: Caller, call: DeviceCall): Promise<unknown> {
    const device = this.deviceOf(caller);
    if (!device) throw new RefusedRequest('device_not_bound', 'The device is not bound to this user');
    return answerCall(this.#tenant(caller.tenantId), device, call, this.#pulls);
  }

  /**
   * Tells a device of the scopes in which there is something new, or which are taken from it: at once of all
   * that it has (LIVE-8), later whenever there is; with null once it is revoked.
   * @returns stops it
   */
  follow(caller: Caller, listener: (scopes: readonly string[] | null) => void): () => void {
    const tenant = this.#tenant(caller.tenantId);
    const heads = new Map<string, number>();
    const changed = (): string[] => {
      const held = tenant.scopesOf(caller.userId);
      const gone = [...heads.keys()].filter((scope) => !held.includes(scope));
      for (const scope of gone) heads.delete(scope);
      const moved = held.filter((scope) => {
        const { sequence } = tenant.log(scope).head;
        const isNew = heads.get(scope) !== sequence;
        heads.set(scope, sequence);
        return isNew;
      });
      return [...moved, ...gone];
    };
    listener(changed());
    return tenant.listen(() => {
      const scopes = this.deviceOf(caller)?.isRevoked ? null : changed();
      if (scopes?.length !== 0) listener(scopes);
    });
  }

  /** Entities that are there before anything begins, as a service would have made them. */
  seed(entityType: string, rows: Readonly<Record<string, TestData>>, place: Place = {}): void {
    for (const [entityId, data] of Object.entries(rows)) this.change(entityType, entityId, data, place);
  }

  /**
   * A change by somebody else.
   * @param data null deletes
   * @throws TypeError where nobody says into which scope it goes; RefusedRequest `not_found` for an unknown
   * entity type, `schema_invalid` for data that its templates cannot use
   */
  change(entityType: string, entityId: string, data: TestData | null, place: Place = {}): void {
    const tenant = this.#tenant(place.tenantId);
    changeByService(tenant, { entityType, entityId, data }, place.scope ?? null);
  }

  /** The user holds the scope from here on. */
  grant(userId: string, scope: string, tenantId?: string): void {
    const tenant = this.#tenant(tenantId);
    if (scope === `user:${userId}`) tenant.withheld.delete(scope);
    else tenant.grant(scope, userId, BY_HAND);
    tenant.announce();
  }

  /** The user does not hold the scope any more. */
  withdraw(userId: string, scope: string, tenantId?: string): void {
    const tenant = this.#tenant(tenantId);
    if (scope === `user:${userId}`) {
      tenant.withheld.add(scope);
      tenant.dropScope(userId, scope);
    } else tenant.withdraw(scope, userId, BY_HAND);
    tenant.announce();
  }

  /** From here on every cursor is one of an old epoch: all devices pull everything anew. */
  loseHistory(): void {
    for (const tenant of this.#tenants.values()) {
      for (const log of tenant.logs()) log.loseHistory();
      tenant.announce();
    }
  }

  /** An entity as whoever holds its scope sees it; undefined where it never was. */
  entity(entityType: string, entityId: string, tenantId?: string): RemoteDelta | undefined {
    const tenant = this.#tenant(tenantId);
    const head = tenant.entity(entityType, entityId)?.head;
    const [scope] = head ? [...head.scopes, ...head.leftScopes] : [];
    const delta = scope === undefined ? undefined : tenant.log(scope).find(entityType, entityId);
    return delta && withoutDocument(delta);
  }

  /** The Yjs document of an entity as one update (v1); undefined where there is none. */
  document(entityType: string, entityId: string, tenantId?: string): Uint8Array | undefined {
    const kept = this.#tenant(tenantId).documents.get(keyOf(entityType, entityId));
    return kept && !kept.isGone ? kept.state : undefined;
  }

  /**
   * Somebody else changes a document; `editDocument` of `@sync/client-testing/yjs` makes the update.
   * @param update Yjs update (v1), under a clientID of servers
   * @throws TypeError where there is none, RefusedRequest `schema_invalid` for what it does not take
   */
  changeDocument(entityType: string, entityId: string, update: Uint8Array, tenantId?: string): void {
    const tenant = this.#tenant(tenantId);
    const field = tenant.world.types.get(entityType)?.documents?.field;
    const data = tenant.entity(entityType, entityId)?.head.data;
    if (field === undefined || !data) throw new TypeError(`There is no document ${entityType} ${entityId}`);
    changeByService(tenant, { entityType, entityId, data: { ...data, [field]: update } }, null);
  }

  /** Every ConflictRecord, oldest first. */
  conflicts(tenantId?: string): ConflictRecord[] {
    return [...this.#tenant(tenantId).records.values()].map(({ record }) => record);
  }

  /** How the mutations of a device ended or wait, in their order. */
  outcomesOf({ tenantId, userId, deviceId }: Named): Outcome[] {
    const tenant = this.#tenant(tenantId);
    const own = [...tenant.ledger.values()].filter((entry) => entry.deviceId === deviceId);
    return own.map((entry) => tell(tenant, userId, entry));
  }

  #tenant(tenantId = DEFAULT_TENANT): Tenant {
    const known = this.#tenants.get(tenantId) ?? new Tenant(tenantId, this.#world);
    this.#tenants.set(tenantId, known);
    return known;
  }
}
