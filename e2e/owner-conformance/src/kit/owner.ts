import type { NatsConnection } from '@nats-io/transport-node';
import { setTimeout as sleep } from 'node:timers/promises';
import { RemoteError, request } from '@sync/messaging';
import {
  type DomainEvent,
  type OwnerPushRequest,
  OwnerPushReply,
  type OwnerPushResult,
  type PushedMutation,
  type SnapshotEntity,
  SnapshotPage,
  decoder,
  subjects,
} from '@sync/protocol';
import { EventLog } from './event-log.ts';
import { target } from './config.ts';
import type { OwnerTarget } from './owner-file.ts';
import { connectAsPlatform } from './play-platform.ts';
import type { TypeUnderTest, Writer } from './writer.ts';

/** As long as the gateway waits. */
const REQUEST_LIMIT_MS = 12_000;
/** Events may take a moment: a relay, a stream that stores. */
const EVENT_LIMIT_MS = 20_000;
const LOOK_AGAIN_MS = 20;
/** “Come again”: nothing was decided. */
const PASSING = ['overloaded', 'unavailable'];
const REPEATS = 20;

/** The entity types that the file has examples of. @throws Error where one is not registered */
export function typesUnderTest(): TypeUnderTest[] {
  const { entityTypes, registration } = target();
  return Object.entries(entityTypes).map(([entityType, example]) => {
    const registered = registration.entityTypes.find((one) => one.entityType === entityType);
    if (!registered)
      throw new Error(`${entityType} is in the file, but ${registration.service} has not registered it`);
    return { entityType, registration: registered, example };
  });
}

/** Asks the owning service as the platform does, and hears its events. */
export class Owner {
  readonly nats: NatsConnection;
  readonly events: EventLog;
  readonly #service: string;

  private constructor(nats: NatsConnection, { service, registration }: OwnerTarget) {
    this.nats = nats;
    this.#service = service;
    this.events = new EventLog(
      nats,
      service,
      registration.entityTypes.flatMap(({ eventSubjects }) => eventSubjects ?? []),
    );
  }

  static async connect(): Promise<Owner> {
    const owner = new Owner(await connectAsPlatform(target()), target());
    // The server has the subscriptions before anything is asked.
    await owner.nats.flush();
    return owner;
  }

  close(): Promise<void> {
    return this.nats.close();
  }

  pushSubject({ entityType, registration }: TypeUnderTest): string {
    return registration.pushSubject ?? subjects.push(this.#service, entityType);
  }

  snapshotSubject({ entityType, registration }: TypeUnderTest): string {
    return registration.snapshotSubject ?? subjects.snapshot(this.#service, entityType);
  }

  /** One request, as it is. @throws RemoteError, and Error for an answer of another form */
  ask(writer: Writer, mutations: readonly PushedMutation[], isShared = false): Promise<OwnerPushReply> {
    const body: OwnerPushRequest = {
      tenantId: writer.tenantId,
      mutations: [...mutations],
      ...(isShared && { shared: true }),
    };
    const options = { timeoutMs: REQUEST_LIMIT_MS, decode: decoder(OwnerPushReply, 'an OwnerPushReply') };
    return request(this.nats, this.pushSubject(writer.type), body, options);
  }

  /**
   * Pushes until each mutation has its answer, as the gateway does: what is left out comes again.
   * @returns the answers in the order of the mutations
   */
  async push(writer: Writer, ...mutations: readonly PushedMutation[]): Promise<OwnerPushResult[]> {
    const answers = new Map<string, OwnerPushResult>();
    for (let attempt = 0; attempt < REPEATS && answers.size < mutations.length; attempt += 1) {
      if (attempt > 0) await sleep(LOOK_AGAIN_MS * attempt);
      const open = mutations.filter(({ mutationId }) => !answers.has(mutationId));
      const reply = await this.ask(writer, open).catch((error: unknown) => {
        if (error instanceof RemoteError && PASSING.includes(error.code)) return { results: [] };
        throw error;
      });
      for (const result of reply.results) answers.set(result.mutationId, result);
    }
    return mutations.map(({ mutationId }) => {
      const answer = answers.get(mutationId);
      if (!answer) throw new Error(`a mutation got no answer in ${REPEATS} requests`);
      return answer;
    });
  }

  /** Pushes what has to be applied. @returns the revision of the last one */
  async apply(writer: Writer, ...mutations: readonly PushedMutation[]): Promise<number> {
    let revision = 0;
    for (const mutation of mutations) {
      const [result] = await this.push(writer, mutation);
      if (result?.status !== 'applied')
        throw new Error(`the example was not applied: ${JSON.stringify(result)}`);
      ({ revision } = result);
    }
    return revision;
  }

  /** One page of a snapshot. */
  page(type: TypeUnderTest, body: unknown): Promise<SnapshotPage> {
    const options = { timeoutMs: REQUEST_LIMIT_MS, decode: decoder(SnapshotPage, 'a SnapshotPage') };
    return request(this.nats, this.snapshotSubject(type), body, options);
  }

  /** Every entity of these tenants, from the first page to the last. */
  async snapshot(type: TypeUnderTest, tenantIds: readonly string[], limit = 500): Promise<SnapshotEntity[]> {
    const entities: SnapshotEntity[] = [];
    const cursors = new Set<string>();
    for (let cursor: string | null = null; ;) {
      const page: SnapshotPage = await this.page(type, { cursor, limit });
      if (page.entities.length > limit) throw new Error(`a page of ${page.entities.length}, limit ${limit}`);
      entities.push(...page.entities.filter(({ tenantId }) => tenantIds.includes(tenantId)));
      cursor = page.next;
      if (cursor === null) return entities;
      if (cursors.has(cursor)) throw new Error(`the cursor ${cursor} comes twice: a snapshot without an end`);
      cursors.add(cursor);
    }
  }

  /** The entity as the service shows it; undefined: not there. */
  async stored({ type, tenantId }: Writer, entityId: string): Promise<SnapshotEntity | undefined> {
    const all = await this.snapshot(type, [tenantId]);
    return all.find((entity) => entity.entityId === entityId);
  }

  /** Events of an entity that came so far, a repetition under the same id left out. */
  eventsOf({ tenantId }: Writer, entityId: string): Partial<DomainEvent>[] {
    const own = this.events.seen.filter(
      ({ event }) => event.tenantid === tenantId && event.entityid === entityId,
    );
    return [...new Map(own.map(({ event }) => [`${event.source} ${event.id}`, event])).values()];
  }

  /** Waits for events of the entity. @throws Error that says what came instead */
  async awaitEvents(writer: Writer, entityId: string, count: number): Promise<Partial<DomainEvent>[]> {
    const deadlineMs = performance.now() + EVENT_LIMIT_MS;
    for (;;) {
      const events = this.eventsOf(writer, entityId);
      if (events.length >= count) return events;
      if (performance.now() > deadlineMs) {
        const rest = this.events.unreadable.map((text) => `; unreadable: ${text}`).join('');
        const came = events.map(({ revision }) => revision).join() || 'none';
        throw new Error(`${count} events were to come of the entity, revisions that came: ${came}${rest}`);
      }
      await sleep(LOOK_AGAIN_MS);
    }
  }

  /**
   * What else is said of entities of the writer will have come by then: a later change in the same scope
   * tells so, for events of one scope keep their order.
   */
  async settle(writer: Writer): Promise<void> {
    const last = writer.create();
    await this.apply(writer, last);
    await this.awaitEvents(writer, last.entityId, 1);
  }
}
