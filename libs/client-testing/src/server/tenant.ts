import type { KeptDocument } from './document-keeper.ts';
import type { ConflictDraft, EntityHead } from '@sync/domain';
import type { ConflictHistoryEntry, ConflictRecord, Outcome, RemoteDelta } from '@sync/protocol';
import { type KnownType } from './entity-types.ts';
import { ScopeLog, keyOf } from './scope-log.ts';
import type { Device } from './device.ts';
import type { Work } from '../push/work.ts';

/** An entity, and of an appended record who sent what. */
export interface KeptEntity {
  readonly entityType: string;
  readonly entityId: string;
  readonly head: EntityHead;
  readonly sent: { readonly userId: string; readonly identity: string } | null;
}

export interface EntityAddress {
  readonly scope: string;
  readonly entityType: string;
  readonly entityId: string;
}

/** How a mutation ended; its `current` is looked up whenever it is told. */
export type Ended = Omit<Outcome, 'mutationId' | 'current' | 'currentOf'>;

export interface LedgerEntry {
  readonly mutationId: string;
  readonly userId: string;
  readonly deviceId: string;
  /** Which change it is; see `sameChange`. */
  readonly identity: string;
  /** Null where not even that can be read. */
  readonly address: EntityAddress | null;
  /** Null of what is no mutation. */
  readonly work: Work | null;
  /** Null while it waits. */
  ended: Ended | null;
  /** RFC 3339. */
  endedAt: string;
  /** Devices that have sent it and not acked its outcome. */
  readonly unacked: Set<string>;
}

export interface WaitingEntry extends LedgerEntry {
  readonly work: Work;
}

export interface KeptRecord {
  record: ConflictRecord;
  readonly draft: ConflictDraft;
  /** The request that resolved it, to know a repetition. */
  resolvedBy: string | null;
}

/** What all of the server shares. */
export interface World {
  readonly types: ReadonlyMap<string, KnownType>;
  readonly now: () => number;
  readonly secret: string;
}

/** Everything of one tenant: plain data, changed by the functions of this folder's neighbours. */
export class Tenant {
  readonly tenantId: string;
  readonly world: World;
  readonly entities = new Map<string, KeptEntity>();
  /** By the same keys. */
  readonly documents = new Map<string, KeptDocument>();
  readonly #logs = new Map<string, ScopeLog>();
  /** Scope, user, and what grants it: keys of entities, or `by hand`. */
  readonly #grants = new Map<string, Map<string, Set<string>>>();
  readonly ledger = new Map<string, LedgerEntry>();
  /** In the order of arrival. */
  waiting: WaitingEntry[] = [];
  readonly records = new Map<string, KeptRecord>();
  readonly history: ConflictHistoryEntry[] = [];
  readonly devices = new Map<string, Device>();
  /** Own scopes that an operator took away. */
  readonly withheld = new Set<string>();
  readonly #listeners = new Set<() => void>();

  constructor(tenantId: string, world: World) {
    this.tenantId = tenantId;
    this.world = world;
  }

  get nowIso(): string {
    return new Date(this.world.now()).toISOString();
  }

  log(scope: string): ScopeLog {
    const known = this.#logs.get(scope) ?? new ScopeLog();
    this.#logs.set(scope, known);
    return known;
  }

  logs(): Iterable<ScopeLog> {
    return this.#logs.values();
  }

  entity(entityType: string, entityId: string): KeptEntity | undefined {
    return this.entities.get(keyOf(entityType, entityId));
  }

  /** @returns the scopes of a user, the own first */
  scopesOf(userId: string): string[] {
    const own = `user:${userId}`;
    const granted = [...this.#grants].filter(([, users]) => users.has(userId)).map(([scope]) => scope);
    return [...(this.withheld.has(own) ? [] : [own]), ...granted.filter((scope) => scope !== own).sort()];
  }

  holds(userId: string, scope: string): boolean {
    if (scope === `user:${userId}`) return !this.withheld.has(scope);
    return this.#grants.get(scope)?.has(userId) ?? false;
  }

  grant(scope: string, userId: string, source: string): void {
    const users = this.#grants.get(scope) ?? new Map<string, Set<string>>();
    const sources = users.get(userId) ?? new Set<string>();
    this.#grants.set(scope, users.set(userId, sources.add(source)));
  }

  /** A scope that two grant is held until both take it back (GRANT-2). */
  withdraw(scope: string, userId: string, source: string): void {
    const users = this.#grants.get(scope);
    const sources = users?.get(userId);
    sources?.delete(source);
    if (sources?.size !== 0) return;
    users?.delete(userId);
    this.dropScope(userId, scope);
  }

  /** What the devices of a user have of a scope is to be purged. */
  dropScope(userId: string, scope: string): void {
    for (const device of this.devices.values()) if (device.userId === userId) device.drop(scope);
  }

  /**
   * The entity as somebody may see it through a scope; a deletion where there is nothing to see (PUSH-7), and
   * no document, which comes by pulls alone (PULL-16).
   * @param at when there was nothing
   */
  shown(userId: string, { scope, entityType, entityId }: EntityAddress, at = this.nowIso): RemoteDelta {
    const seen = this.holds(userId, scope) ? this.log(scope).find(entityType, entityId) : undefined;
    if (seen) return withoutDocument(seen);
    const schemaVersion = this.world.types.get(entityType)?.schemaVersion ?? 1;
    const nothing = { op: 'delete', clock: {}, data: null, committedAt: at } as const;
    return { entityType, entityId, schemaVersion, ...nothing };
  }

  /** @returns stops it */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Something may be new for somebody. */
  announce(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

/** The entity with its plain fields. */
export function withoutDocument({ update, ...delta }: RemoteDelta): RemoteDelta {
  return update === undefined ? delta : { ...delta, op: 'put' };
}
