/** The smallest honest platform around the pure functions: one owner and its projection, no lag, no loss. */
import { countChange, deviceReplica, mergeClocks } from '@sync/vector-clock';
import type { VectorClock } from '@sync/vector-clock';
import { decide } from '../conflict/decide.ts';
import type { ConflictDraft, Decision, ReviewMode, SubmitDecision } from '../conflict/decision.ts';
import { namedWrites, repeatingWrites } from '../conflict/field-writes.ts';
import { mutationClock, mutationWrite } from '../entity.ts';
import type { FieldWrites, MutationInput } from '../entity.ts';
import type { ConflictPolicy } from '../conflict/policies.ts';
import type { JsonObject } from '../json.ts';
import { projectEvent } from '../projection/project-event.ts';
import type { DomainChange, EntityHead, ProjectionRule } from '../projection/projection.ts';

export const RULE: ProjectionRule = {
  schemaVersion: 1,
  policy: 'lww',
  fields: '*',
  scopes: ['thing:{entityId}'],
  grants: [],
  docUpdateField: null,
};

export interface ServerModelOptions {
  readonly policy?: ConflictPolicy;
  readonly review?: ReviewMode;
  /** Whether the owner passes the decision's field writes on to its event. */
  readonly passesDecidedWrites: boolean;
  /** Who counts; default: the owner takes the clock that was decided. */
  readonly counts?: 'owner' | 'projector';
  /** Whether the owner takes null for: there is no such field. */
  readonly leavesOutNull?: boolean;
}

export class ServerModel {
  head: EntityHead | null = null;
  readonly records: ConflictDraft[] = [];
  readonly #options: ServerModelOptions;

  constructor(options: ServerModelOptions) {
    this.#options = options;
  }

  /** A change that the service makes itself. */
  changeOnServer(data: JsonObject | null, occurredAtMs: number): void {
    const op = data === null ? 'delete' : 'put';
    this.#project({ op, data, clock: null, occurredAtMs, mutationClock: null, mutationDeviceId: null });
  }

  push(mutation: MutationInput): Decision {
    const { policy = 'lww', review = 'none' } = this.#options;
    const decision = decide({ mutation, current: this.head, policy, review, serverNowMs: Number.MAX_VALUE });
    if (decision.record !== null) this.records.push(decision.record);
    if (decision.kind === 'submit') this.#apply(mutation, decision);
    return decision;
  }

  /** A patch of an entity that does not exist is what every owner refuses. */
  #apply(mutation: MutationInput, decision: SubmitDecision): void {
    const present = this.head?.data ?? null;
    if (decision.op === 'patch' && present === null) return;
    if (decision.op === 'delete' && this.head === null) return;
    // An append under a taken id that was let through is the stored one: owners recognise it.
    if (decision.op === 'append' && this.head !== null) return;
    const patched = { ...present, ...decision.data };
    const sent = decision.op === 'delete' ? null : decision.op === 'patch' ? patched : decision.data;
    const data = this.#options.leavesOutNull ? withoutNull(sent) : sent;
    this.#project({
      op: data === null ? 'delete' : 'put',
      data,
      clock: this.#clockAfter(mutation, decision),
      occurredAtMs: mutation.occurredAtMs,
      mutationClock: mutationClock(mutation),
      mutationDeviceId: mutation.deviceId,
      decidedWrites: this.#options.passesDecidedWrites ? this.#carried(mutation, decision, data) : null,
    });
  }

  #clockAfter(mutation: MutationInput, decision: SubmitDecision): VectorClock | null {
    const { counts } = this.#options;
    if (counts === 'projector') return null;
    const { by, counter } = mutationWrite(mutation);
    return counts === 'owner' ? countChange(this.head?.clock ?? {}, by, counter) : decision.clock;
  }

  /**
   * What travels of the decision, as gateway and owner do it: of a clean mutation nothing but itself, and
   * then only repetitions.
   */
  #carried(mutation: MutationInput, decision: SubmitDecision, after: JsonObject | null): FieldWrites {
    if (this.head === null) return {};
    const asSent = decision.status === 'applied';
    const decided = asSent ? namedWrites(mutation, mutationWrite(mutation)) : decision.fieldWrites;
    return repeatingWrites(decided, this.head.data, after);
  }

  #project(change: Omit<DomainChange, 'entityType' | 'entityId' | 'revision' | 'service' | 'update'>): void {
    const revision = (this.head?.revision ?? 0) + 1;
    const entity = { entityType: 'thing', entityId: 'e1', service: 'svc', update: null };
    const result = projectEvent(this.head, { ...entity, revision, ...change }, RULE);
    if (result.kind !== 'changed') throw new Error(`unexpected ${result.kind}`);
    this.head = result.head;
  }
}

function withoutNull(data: JsonObject | null): JsonObject | null {
  return data && Object.fromEntries(Object.entries(data).filter(([, value]) => value !== null));
}

/** A mutation of the one entity, with defaults for what a test does not care about. */
export function mutationOf(
  fields: Partial<MutationInput> & Pick<MutationInput, 'deviceId' | 'op'>,
): MutationInput {
  return {
    mutationId: `${fields.deviceId}-${fields.op}`,
    entityType: 'thing',
    entityId: 'e1',
    data: null,
    update: null,
    baseClock: {},
    occurredAtMs: 1_000,
    schemaVersion: 1,
    ...fields,
  };
}

/** The clock of a device that has seen `base` and the given mutations. */
export function seenClock(base: VectorClock, seen: readonly MutationInput[]): VectorClock {
  return seen.reduce((clock, mutation) => mergeClocks(clock, dotOf(mutation)), base);
}

function dotOf(mutation: MutationInput): VectorClock {
  const by = deviceReplica(mutation.deviceId);
  return { [by]: mutationClock(mutation)[by] ?? 0 };
}
