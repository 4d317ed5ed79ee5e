import { setTimeout as sleep } from 'node:timers/promises';
import type { Msg, NatsConnection, Subscription } from '@nats-io/transport-node';
import { type EntityHead, type FieldWrites, type JsonObject, namedWrites, projectEvent } from '@sync/domain';
import type { Database } from '@sync/postgres';
import {
  type DeletedDataReply,
  type DeletedDataRequest,
  type OwnerPushRequest,
  type OwnerPushResult,
  type PushedMutation,
  type RegisteredEntityType,
  type RemoteDelta,
  subjects,
} from '@sync/protocol';
import { counterOf, deviceReplica, mergeClocks, type VectorClock } from '@sync/vector-clock';

/** What it refuses to merge; any other update of a document it takes, and keeps none. */
export const FOREIGN_UPDATE = Buffer.from('foreign').toString('base64');

interface Entity {
  readonly revision: number;
  readonly clock: VectorClock;
  readonly data: JsonObject | null;
}

/**
 * A small owning service: entities in memory, an inbox, compare-and-set on the revision. It projects its own
 * changes into the gateway's read model, at once or when told to, so that tests decide how far the projection
 * is behind.
 */
export class TestOwner {
  /** answers; `silent` does the work but never says so; `deaf` neither works nor answers. */
  mode: 'answers' | 'silent' | 'deaf' = 'answers';
  projectsAtOnce = true;
  /**
   * What it does with a mutation of the text `poison`: an SDK answers without it, others with an error for
   * the whole request, or never.
   */
  poison: 'left out' | 'error' | 'no answer' = 'left out';
  /** What `pushChains` of a registration promises; without it each expectedRevision is compared by itself. */
  comparesChains = true;
  /**
   * What it makes of `text`: keeps it, trims it and says what stands, or trims it and says only that it did.
   */
  trims: 'no' | 'shown' | 'unshown' = 'no';
  /**
   * What its events say of the mutation behind a change (OWNER-20); `clocks`: all of it, and it keeps clocks
   * besides, as the SDK does.
   */
  tells: 'clocks' | 'all' | 'no device' | 'no time' | 'no writes' = 'clocks';
  /** Fields without which it takes no entity. */
  requires: readonly string[] = [];
  /** How it says that an append's id is taken: an SDK refuses it for good, others may show what is there. */
  takenAppends: 'rejected' | 'conflict' = 'rejected';
  /** How long it works, on one request after the other, before it answers. */
  slowMs = { perRequest: 0, perMutation: 0 };
  /** Requests that it has not answered, now and at the most. */
  inHand = 0;
  mostInHand = 0;
  readonly requests: PushedMutation[][] = [];
  readonly applied: string[] = [];
  readonly #nats: NatsConnection;
  readonly #database: Database;
  readonly #types: ReadonlyMap<string, RegisteredEntityType>;
  readonly #entities = new Map<string, Entity>();
  readonly #inbox = new Map<string, OwnerPushResult>();
  readonly #heads = new Map<string, EntityHead>();
  #subscription: Subscription | undefined;
  #sequence = 0;
  #last: Promise<unknown> = Promise.resolve();
  readonly #unprojected: (() => Promise<void>)[] = [];
  #projecting: Promise<void> = Promise.resolve();

  constructor(nats: NatsConnection, database: Database, types: readonly RegisteredEntityType[]) {
    this.#nats = nats;
    this.#database = database;
    this.#types = new Map(types.map((type) => [type.entityType, type]));
  }

  start(): void {
    this.#subscription = this.#nats.subscribe(subjects.push('learning', '*'), {
      // One after the other, as transactions that lock the same rows: a repetition beside the first finds its
      // answer.
      callback: (_error, message) => {
        this.inHand += 1;
        this.mostInHand = Math.max(this.mostInHand, this.inHand);
        this.#last = this.#last.then(() => this.#answer(message)).then(() => void (this.inHand -= 1));
      },
    });
  }

  /** Nobody answers any more: requests fail at once. */
  async stop(): Promise<void> {
    this.#subscription?.unsubscribe();
    await this.#nats.flush();
  }

  entity(tenantId: string, entityType: string, entityId: string): Entity | undefined {
    return this.#entities.get(key(tenantId, entityType, entityId));
  }

  /** What the projector answers to `subjects.deletedData`. */
  deletedData({ tenantId, entities }: DeletedDataRequest): DeletedDataReply {
    const heads = entities.map((one) => this.#heads.get(key(tenantId, one.entityType, one.entityId)));
    return {
      entities: heads.map((head) => ({ revision: head?.revision ?? null, data: head?.deletedData ?? null })),
    };
  }

  /** A change of the service's own. */
  async change(
    tenantId: string,
    entityType: string,
    entityId: string,
    data: JsonObject | null,
  ): Promise<void> {
    const now = this.entity(tenantId, entityType, entityId);
    const clock = mergeClocks(now?.clock ?? {}, { 's:learning': (now?.clock['s:learning'] ?? 0) + 1 });
    await this.#write(
      tenantId,
      entityType,
      entityId,
      { revision: (now?.revision ?? 0) + 1, clock, data },
      null,
    );
  }

  async #answer(message: Msg): Promise<void> {
    if (this.mode === 'deaf') return;
    const { tenantId, mutations } = message.json<OwnerPushRequest>();
    const workMs = this.slowMs.perRequest + this.slowMs.perMutation * mutations.length;
    if (workMs > 0) await sleep(workMs);
    this.requests.push(mutations);
    const results: OwnerPushResult[] = [];
    const conflicted = new Set<string>();
    const poisoned = new Set(mutations.filter(isPoison).map(({ entityId }) => entityId));
    if (poisoned.size > 0 && this.poison === 'no answer') return;
    if (poisoned.size > 0 && this.poison === 'error') {
      message.respond(JSON.stringify({ error: { code: 'internal', message: 'unexpected' } }));
      return;
    }
    for (const mutation of mutations.filter(({ entityId }) => !poisoned.has(entityId))) {
      const behind = this.comparesChains && conflicted.has(mutation.entityId);
      const asked = behind ? { ...mutation, expectedRevision: -1 } : mutation;
      const known = this.#inbox.get(mutation.mutationId) ?? refusalOf(mutation);
      const result = known ?? (await this.#handle(tenantId, asked));
      if (result.status === 'conflict') conflicted.add(mutation.entityId);
      else this.#inbox.set(mutation.mutationId, result);
      results.push(result);
    }
    if (this.mode === 'answers') message.respond(JSON.stringify({ results }));
  }

  async #handle(tenantId: string, mutation: PushedMutation): Promise<OwnerPushResult> {
    const { mutationId, entityType, entityId, op, expectedRevision } = mutation;
    const now = this.entity(tenantId, entityType, entityId);
    const revision = now?.revision ?? 0;
    const data = (mutation.data ?? null) as JsonObject | null;
    if (data?.['text'] === 'forbidden')
      return { mutationId, status: 'rejected', code: 'forbidden', message: 'not yours' };
    if (mutation.update === FOREIGN_UPDATE)
      return { mutationId, status: 'rejected', code: 'client_id_foreign' };
    const isTaken = op === 'append' && now !== undefined;
    if (isTaken && this.takenAppends === 'rejected') {
      return { mutationId, status: 'rejected', code: 'entity_exists' };
    }
    if (isTaken || (op !== 'append' && expectedRevision !== revision)) {
      const current = {
        revision,
        ...(this.tells === 'clocks' && { clock: now?.clock ?? {} }),
        data: now?.data ?? null,
        deleted: revision > 0 && !now?.data,
      };
      return { mutationId, status: 'conflict', current };
    }
    const asSent =
      op === 'delete' ? null : op === 'patch' || op === 'merge' ? { ...now?.data, ...data } : data;
    const missing = asSent && this.requires.find((field) => !Object.hasOwn(asSent, field));
    if (missing)
      return { mutationId, status: 'rejected', code: 'data_invalid', message: `/${missing}: required` };
    const next = this.trims === 'no' ? asSent : trimmed(asSent);
    const clock = mergeClocks(now?.clock ?? {}, mutation.clock);
    this.applied.push(mutationId);
    await this.#write(
      tenantId,
      entityType,
      entityId,
      { revision: revision + 1, clock, data: next },
      mutation,
    );
    const shown = this.tells === 'clocks' ? { clock } : {};
    const result = { mutationId, status: 'applied', revision: revision + 1, ...shown } as const;
    if (next?.['text'] === asSent?.['text']) return result;
    return { ...result, changed: true, ...(this.trims === 'shown' && { data: next }) };
  }

  async #write(
    tenantId: string,
    entityType: string,
    entityId: string,
    entity: Entity,
    cause: PushedMutation | null,
  ): Promise<void> {
    this.#entities.set(key(tenantId, entityType, entityId), entity);
    const atMs = cause ? Date.parse(cause.occurredAt) : Date.now();
    this.#unprojected.push(() => this.#project(tenantId, entityType, entityId, entity, { cause, atMs }));
    if (this.projectsAtOnce) await this.projectAll();
  }

  /** Brings the read model up to date: one change after the other, in their order, as a projector does. */
  async projectAll(): Promise<void> {
    this.#projecting = this.#projecting.then(async () => {
      for (const project of this.#unprojected.splice(0)) await project();
    });
    await this.#projecting;
  }

  async #project(
    tenantId: string,
    entityType: string,
    entityId: string,
    { revision, clock, data }: Entity,
    { cause, atMs }: { readonly cause: PushedMutation | null; readonly atMs: number },
  ): Promise<void> {
    const type = this.#types.get(entityType);
    if (type?.projection.kind !== 'declarative')
      throw new Error(`${entityType} has no declarative projection`);
    const known = key(tenantId, entityType, entityId);
    const result = projectEvent(
      this.#heads.get(known) ?? null,
      {
        entityType,
        entityId,
        revision,
        op: data ? 'put' : 'delete',
        data,
        clock: this.tells === 'clocks' ? clock : null,
        mutationClock: this.tells === 'no device' ? null : (cause?.clock ?? null),
        mutationDeviceId: this.tells === 'no device' ? null : (cause?.deviceId ?? null),
        occurredAtMs: this.tells === 'no time' ? Date.now() : atMs,
        service: 'learning',
        update: null,
        decidedWrites: cause && this.tells !== 'no writes' ? writesOf(cause) : null,
      },
      {
        schemaVersion: type.schemaVersion,
        policy: type.policy,
        fields: type.projection.fields,
        scopes: type.projection.scopes,
        grants: [],
        docUpdateField: type.projection.docUpdateField ?? null,
      },
    );
    // Poison goes to nobody's scope, as in the projector.
    if (result.kind !== 'changed') return;
    this.#heads.set(known, result.head);
    for (const delta of result.deltas) {
      const wire: RemoteDelta = {
        entityType,
        entityId,
        op: delta.op,
        clock: result.head.clock,
        schemaVersion: type.schemaVersion,
        committedAt: new Date().toISOString(),
        data: delta.data,
        ...(delta.update === null ? {} : { update: delta.update }),
      };
      await this.#store(tenantId, delta.scope, revision, result.head, wire);
    }
  }

  async #store(
    tenantId: string,
    scope: string,
    revision: number,
    head: EntityHead,
    wire: RemoteDelta,
  ): Promise<void> {
    this.#sequence += 1;
    const values = [
      tenantId,
      scope,
      wire.entityType,
      wire.entityId,
      this.#sequence,
      revision,
      wire.op === 'delete',
      JSON.stringify(head.clock),
      JSON.stringify(head.fieldWrites),
      JSON.stringify(wire),
    ];
    await this.#database.inTenant(tenantId, (tx) =>
      tx.query(
        `INSERT INTO scope_delta (tenant_id, scope, entity_type, entity_id, sequence, revision, deleted,
          clock, field_writes, wire)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (tenant_id, scope, entity_type, entity_id) DO UPDATE SET sequence = excluded.sequence,
           revision = excluded.revision, deleted = excluded.deleted, clock = excluded.clock,
           field_writes = excluded.field_writes, wire = excluded.wire`,
        values,
      ),
    );
  }
}

function key(tenantId: string, entityType: string, entityId: string): string {
  return `${tenantId} ${entityType} ${entityId}`;
}

/** What the owner SDK passes on, without leaving out what the projection could infer itself. */
function writesOf({ op, data, clock, deviceId, occurredAt, fieldWrites }: PushedMutation): FieldWrites {
  const by = deviceReplica(deviceId);
  const write = { atMs: Date.parse(occurredAt), by, counter: counterOf(clock, by) };
  return fieldWrites ?? namedWrites({ op, data: data as JsonObject | null }, write);
}

function trimmed(data: JsonObject | null): JsonObject | null {
  const text = data?.['text'];
  return typeof text === 'string' ? { ...data, text: text.trim() } : data;
}

function isPoison({ data }: PushedMutation): boolean {
  return (data as JsonObject | null)?.['text'] === 'poison';
}

/** The answer to a mutation that is only asked for. */
function refusalOf({ mutationId, refuse }: PushedMutation): OwnerPushResult | undefined {
  return refuse && { mutationId, status: 'rejected', ...refuse };
}
