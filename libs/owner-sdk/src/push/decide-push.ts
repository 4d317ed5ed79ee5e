import { isDeepStrictEqual } from 'node:util';
import { POLICIES, shorten, storableText } from '@sync/domain';
import type { OwnerPushResult, PushedMutation } from '@sync/protocol';
import {
  counterOf,
  countChange,
  deviceReplica,
  dotIn,
  serviceReplica,
  type VectorClock,
} from '@sync/vector-clock';
import type { DocumentSession } from '../document-port.ts';
import type { EventDraft } from '../domain-event-outbox.ts';
import type { EntityDefinition } from '../entity-definition.ts';
import type { EntityData } from '../entity-store.ts';
import { reject, type HandlerAnswer, type Rejected, type ServerChange } from '../handler-answer.ts';
import { eventOfChange, type CountedChange, type DocumentPart, type NextState } from './event-of-change.ts';
import { answerAgain, type FinalAnswer, type KnownAnswer } from './known-answer.ts';
import { refuseData } from './refuse-data.ts';
import { isSentAgain, sentRecordOf, standsAsSent, type SentRecord } from './sent-record.ts';

/** An entity as a batch finds it, and as its mutations change it. Revision 0: it never existed. */
export interface EntityNow {
  readonly revision: number;
  readonly clock: VectorClock;
  readonly deleted: boolean;
  readonly data: EntityData | null;
  /** append_only: the record as it was sent. */
  readonly sent: SentRecord | null;
}

/** An entity that a batch changed. */
export interface ChangedEntity extends EntityNow {
  /** Revision before the batch; 0 creates the row. */
  readonly baseRevision: number;
  /** `data` as text. */
  readonly json: string | null;
}

export interface PushState {
  readonly service: string;
  readonly tenantId: string;
  readonly nowIso: string;
  /** Final answers that the inbox has, by mutationId. */
  readonly answered: ReadonlyMap<string, KnownAnswer>;
  /** Entities that exist, or did and were deleted. */
  readonly entities: ReadonlyMap<string, EntityNow>;
  /** The documents of a crdt_yjs type; null for types without. */
  readonly documents?: DocumentSession | null;
  /** What the merge of the batch's one mutation was refused with, when it was tried before. */
  readonly refusal?: Rejected | null;
}

/** What a batch comes to. Nothing of it has happened yet. */
export interface PushDecision {
  /** In the order of the request, without the unanswered. */
  readonly results: readonly OwnerPushResult[];
  /**
   * The new final answers, to be kept for ever, without the data of changed ones: until they are asked for
   * again it may have changed once more. Conflicts are not final: the gateway decides anew and comes again.
   */
  readonly final: readonly FinalAnswer[];
  readonly changed: ReadonlyMap<string, ChangedEntity>;
  readonly events: readonly EventDraft[];
  readonly also: readonly ServerChange[];
  /** Mutations whose handler threw, and those behind them in the same entity; they come again. */
  readonly unanswered: readonly { readonly mutation: PushedMutation; readonly error: unknown }[];
}

const MAX_MESSAGE_LENGTH = 1000;
/** Of the fields beside a document, which takes nearly all of an event. */
const MAX_PLAIN_BYTES = 32 * 1024;
const NOT_EXISTING: EntityNow = { revision: 0, clock: {}, deleted: false, data: null, sent: null };

/**
 * Decides a batch: pure, `(state, mutations) → what to answer and what to write`.
 *
 * 1. What the inbox knows keeps its answer. Another change under the id of an applied one is rejected; a
 *    rejection had no effect and gives way.
 * 2. What is only asked for (`refuse`) is refused for good: nothing has applied it.
 * 3. `expectedRevision` must be the entity's revision, counted with what this batch did to it; else
 *    `conflict`. append_only has no revisions to expect: the id exists or not.
 * 4. The handler decides; accepted data must be storable and within bounds.
 * 5. The mutation is counted in the entity's clock.
 */
export function decidePush(
  definition: EntityDefinition,
  state: PushState,
  mutations: readonly PushedMutation[],
): PushDecision {
  return new PushDecider(definition, state).decide(mutations);
}

class PushDecider {
  readonly #definition: EntityDefinition;
  readonly #state: PushState;
  readonly #serviceReplica: string;
  readonly #results = new Map<string, OwnerPushResult>();
  readonly #final: FinalAnswer[] = [];
  readonly #changed = new Map<string, ChangedEntity>();
  readonly #events: EventDraft[] = [];
  readonly #also: ServerChange[] = [];
  readonly #unanswered: { mutation: PushedMutation; error: unknown }[] = [];
  /** Entity → why its lane stopped: what follows a failed mutation expects its effect. */
  readonly #stopped = new Map<string, unknown>();
  /**
   * Entities of which a mutation of this batch was answered with `conflict`: those behind it are, too. Their
   * expected revisions were counted on its success, and an owner that is ahead by just that much would let
   * the second overwrite what the first ran into.
   */
  readonly #conflicted = new Set<string>();

  constructor(definition: EntityDefinition, state: PushState) {
    this.#definition = definition;
    this.#state = state;
    this.#serviceReplica = serviceReplica(state.service);
  }

  decide(mutations: readonly PushedMutation[]): PushDecision {
    for (const mutation of mutations) this.#decideOne(mutation);
    const distinct = new Set(mutations.map((mutation) => mutation.mutationId));
    return {
      results: [...distinct].flatMap((mutationId) => this.#results.get(mutationId) ?? []),
      final: this.#final,
      changed: this.#changed,
      events: this.#events,
      also: this.#also,
      unanswered: this.#unanswered,
    };
  }

  #decideOne(mutation: PushedMutation): void {
    const { mutationId, entityId } = mutation;
    if (this.#results.has(mutationId)) return;
    const known = this.#state.answered.get(mutationId);
    const answer = known && answerAgain(known, mutation);
    if (answer) {
      this.#results.set(mutationId, answer);
      return;
    }
    const { refuse } = mutation;
    if (refuse) {
      const refusal = rejected(mutationId, reject(refuse.code, refuse.message ?? ''));
      this.#results.set(mutationId, refusal);
      this.#keep(mutation, refusal);
      return;
    }
    if (this.#stopped.has(entityId)) {
      this.#unanswered.push({ mutation, error: this.#stopped.get(entityId) });
      return;
    }
    const now = this.#changed.get(entityId) ?? this.#state.entities.get(entityId) ?? NOT_EXISTING;
    try {
      const { isWrittenOnce } = POLICIES[this.#definition.policy];
      const result = isWrittenOnce ? this.#append(mutation, now) : this.#change(mutation, now);
      this.#results.set(mutationId, result);
      if (result.status === 'conflict') this.#conflicted.add(entityId);
      else this.#keep(mutation, result);
    } catch (error) {
      this.#stopped.set(entityId, error);
      this.#unanswered.push({ mutation, error });
    }
  }

  #keep({ mutationId, identity }: PushedMutation, result: OwnerPushResult): void {
    const replaces = this.#state.answered.has(mutationId);
    this.#final.push({ result: withoutData(result), identity: identity ?? null, replaces });
  }

  #change(mutation: PushedMutation, now: EntityNow): OwnerPushResult {
    const { mutationId, expectedRevision } = mutation;
    if (now.revision !== expectedRevision || this.#conflicted.has(mutation.entityId)) {
      const { revision, clock, data, deleted } = now;
      return { mutationId, status: 'conflict', current: { revision, clock, data, deleted } };
    }
    const answer = this.#ask(mutation, now.data);
    const taken = this.#takeDocument(mutation, now, answer);
    return taken
      ? this.#settle(mutation, now, taken.answer, taken.document)
      : this.#settle(mutation, now, answer);
  }

  /**
   * An append never conflicts: the id is new, or this is the stored entity again, or it is another under a
   * used id.
   */
  #append(mutation: PushedMutation, now: EntityNow): OwnerPushResult {
    const { mutationId, op } = mutation;
    if (op !== 'append') {
      return rejected(mutationId, reject('append_only_violation', `${op} on an append_only entity type`));
    }
    const answer = this.#ask(mutation, null);
    if (now.revision === 0 || answer.kind === 'rejected') return this.#settle(mutation, now, answer);
    const { data, sent, revision, clock } = now;
    const same = this.#definition.sameContent ?? isDeepStrictEqual;
    const isSame =
      data !== null &&
      (isSentAgain({ data, sent }, mutation) || (answer.data !== null && same(data, answer.data)));
    if (isSame) return applied(mutation, { revision, clock, data });
    return rejected(mutationId, reject('entity_exists', 'This id is taken by an entity with other content'));
  }

  #ask(mutation: PushedMutation, current: EntityData | null): HandlerAnswer {
    const { tenantId, nowIso } = this.#state;
    const { userId, deviceId } = mutation;
    return this.#definition.handle(mutation, current, { tenantId, userId, deviceId, nowIso });
  }

  /**
   * The document's part comes last: what the handler refuses must not reach the document. Null where there is
   * none.
   */
  #takeDocument(
    mutation: PushedMutation,
    now: EntityNow,
    answer: HandlerAnswer,
  ): { readonly answer: HandlerAnswer; readonly document: DocumentPart | null } | null {
    const { documents } = this.#state;
    if (!documents || answer.kind === 'rejected' || answer.data === null) return null;
    const json = JSON.stringify(answer.data);
    const counted = this.#count(mutation, now);
    // Whatever would refuse the mutation later has to do so now.
    const refusal = refuseData(answer.data, json, this.#definition.policy, MAX_PLAIN_BYTES);
    if ('code' in counted) return { answer: counted, document: null };
    if (refusal) return { answer: refusal, document: null };
    if (this.#state.refusal) return { answer: this.#state.refusal, document: null };
    const taken = documents.take(mutation, answer.data, now.data === null, counted.dot);
    if (!taken.ok) return { answer: taken.refusal, document: null };
    const { data, isIncrement } = taken.shown;
    return { answer: { ...answer, data }, document: { plain: answer.data, isIncrement } };
  }

  /**
   * The entity's clock with the mutation. Every change has a dot of its own, or two states of the entity
   * would have one clock and no digest would tell them apart. A resolution brings none, and neither does a
   * device that counts wrong: that is then a change of the service.
   *
   * Of the mutation's clock nothing else counts: a device learns of other replicas only through the owner, so
   * what goes beyond is invented, or was folded away since.
   */
  #count(mutation: PushedMutation, now: EntityNow): CountedChange | Rejected {
    const device = deviceReplica(mutation.deviceId);
    const counter = counterOf(mutation.clock, device);
    const brings = counter > counterOf(now.clock, device);
    const replica = brings ? device : this.#serviceReplica;
    try {
      const clock = countChange(now.clock, replica, brings ? counter : undefined);
      return { brings, clock, dot: dotIn(clock, replica, counterOf(clock, replica)) };
    } catch (error) {
      if (error instanceof RangeError) return reject('clock_limit_exceeded', error.message);
      throw error;
    }
  }

  #settle(
    mutation: PushedMutation,
    now: EntityNow,
    answer: HandlerAnswer,
    document: DocumentPart | null = null,
  ): OwnerPushResult {
    const { mutationId } = mutation;
    if (answer.kind === 'rejected') return rejected(mutationId, answer);
    const json = answer.data === null ? null : JSON.stringify(answer.data);
    const counted = this.#count(mutation, now);
    const refusal = refuseData(answer.data, json, this.#definition.policy);
    if (refusal) return rejected(mutationId, refusal);
    if ('code' in counted) return rejected(mutationId, counted);
    return this.#apply(mutation, now, { answer, json, counted, document });
  }

  #apply(mutation: PushedMutation, now: EntityNow, next: NextState): OwnerPushResult {
    const { entityId } = mutation;
    const { answer, json, counted, document } = next;
    const { clock } = counted;
    const revision = now.revision + 1;
    const baseRevision = this.#changed.get(entityId)?.baseRevision ?? now.revision;
    this.#changed.set(entityId, {
      baseRevision,
      revision,
      clock,
      deleted: answer.data === null,
      data: answer.data,
      json,
      sent: mutation.op === 'append' ? sentRecordOf(mutation) : null,
    });
    this.#events.push(eventOfChange(this.#definition, this.#state, mutation, now, next));
    this.#also.push(...answer.also);
    return applied(mutation, { revision, clock, data: answer.data }, document);
  }
}

/**
 * Says how the entity stands where that is not as sent; of a document only that: what devices see of it, the
 * projection knows.
 */
function applied(
  mutation: PushedMutation,
  { revision, clock, data }: Pick<EntityNow, 'revision' | 'clock' | 'data'>,
  document: DocumentPart | null = null,
): OwnerPushResult {
  const { mutationId } = mutation;
  const result = { mutationId, status: 'applied', revision, clock } as const;
  if (standsAsSent(mutation, document ? document.plain : data)) return result;
  return document ? { ...result, changed: true } : { ...result, changed: true, data };
}

/** The answer as it is kept, and as it is sent where the data would be too much. */
export function withoutData(result: OwnerPushResult): OwnerPushResult {
  if (result.status !== 'applied' || result.data === undefined) return result;
  const { data: _data, ...kept } = result;
  return kept;
}

/** A message may quote the data, and must not make the answer itself unstorable. */
function rejected(mutationId: string, { code, message }: Rejected): OwnerPushResult {
  const storable = shorten(storableText(message), MAX_MESSAGE_LENGTH);
  return { mutationId, status: 'rejected', code, message: storable };
}
