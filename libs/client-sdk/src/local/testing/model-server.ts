import type { Digest, LocalMutation, Outcome, PullResponse, PushResponse, RemoteDelta } from '@sync/protocol';
import { type VectorClock, counterOf, incrementClock } from '@sync/vector-clock';
import * as Y from 'yjs';
import { NOTHING, changeDigest } from '../../replica/digest.ts';
import { hasAll } from '../../replica/clocks.ts';

const AT = '2026-01-01T00:00:00.000Z';

/**
 * One scope as the rules of the protocol have it, without policies: whatever is not to be refused is applied.
 * It says the laws of a server that a device relies on, and nothing of how one is built. An entity with an
 * `epoch` in its data has a Yjs document as well.
 */
export class ModelServer {
  readonly scope: string;
  readonly #entityType: string;
  /** In the order of commits. An entity stands where it changed last: nobody is told what it was before. */
  readonly #log: (RemoteDelta | null)[] = [];
  readonly #states = new Map<string, RemoteDelta>();
  /** By entity: the document, and the clock of the change that began its epoch. */
  readonly #documents = new Map<string, { readonly doc: Y.Doc; readonly start: VectorClock }>();
  readonly #outcomes = new Map<string, Outcome>();
  /** Mutations whose outcomes it sends with pulls, and of which device each is. */
  readonly #unacked = new Map<string, string>();
  /** Mutations that were carried out, in order; one that stands here twice was applied twice. */
  readonly applied: string[] = [];
  readonly refused = new Set<string>();
  /** Mutations that came again as something else than they were (PUSH-3). */
  readonly changed = new Set<string>();
  readonly #sent = new Map<string, string>();
  #epoch = 0;
  #digest = NOTHING;
  /** What is registered. It lifts nothing. */
  schemaVersion = 1;
  /** Whether its user holds the scope. */
  isHeld = true;
  #wantsResync = false;

  constructor(scope: string, entityType = 'note') {
    this.scope = scope;
    this.#entityType = entityType;
  }

  /** What everybody sees when everything is pulled. */
  get data(): Map<string, unknown> {
    const live = [...this.#states].filter(([, { op }]) => op !== 'delete');
    return new Map(live.map(([entityId, { data }]) => [entityId, data]));
  }

  get digest(): Digest {
    return this.#digest;
  }

  /** A change by somebody else. */
  changeItself(entityId: string, data: Record<string, unknown> | null): void {
    const before = this.#states.get(entityId);
    if (!data && (!before || before.op === 'delete')) return;
    const clock = incrementClock(before?.clock ?? {}, 's:owner');
    const isNewEpoch = data?.['epoch'] !== before?.data?.['epoch'];
    if (isNewEpoch) this.#documents.delete(entityId);
    if (isNewEpoch && data) this.#documents.set(entityId, { doc: new Y.Doc(), start: clock });
    this.#commit(entityId, data, clock);
  }

  /** The document of an entity, as everybody sees it when everything is pulled. */
  documentOf(entityId: string): Y.Doc | undefined {
    return this.#documents.get(entityId)?.doc;
  }

  /** From here on every cursor is one of an old epoch, and nothing is told of deletions before (PULL-4). */
  loseHistory(): void {
    this.#epoch += 1;
    this.#log.length = 0;
    for (const [entityId, state] of this.#states) {
      const { doc } = this.#documents.get(entityId) ?? {};
      const whole = doc ? { update: base64Of(Y.encodeStateAsUpdate(doc)) } : {};
      if (state.op !== 'delete') this.#log.push({ ...state, ...whole });
    }
  }

  revoke(): void {
    this.isHeld = false;
  }

  /** Granted again, it starts anew (GRANT-1). */
  grant(): void {
    if (!this.isHeld) this.loseHistory();
    this.isHeld = true;
  }

  /** Says `full_resync` until the scope was begun anew (PULL-17). */
  wantResync(): void {
    this.#wantsResync = true;
  }

  /** @param decide what becomes of each that is new; of what is merged, the fields of the server win */
  push(
    mutations: readonly LocalMutation[],
    own: `d:${string}`,
    decide: (mutation: LocalMutation) => 'applied' | 'merged' | 'rejected' | 'accepted',
  ): PushResponse {
    const outcomes = mutations.map((mutation) => {
      const text = JSON.stringify(mutation);
      if ((this.#sent.get(mutation.mutationId) ?? text) !== text) this.changed.add(mutation.mutationId);
      this.#sent.set(mutation.mutationId, text);
      const known = this.#outcomes.get(mutation.mutationId);
      if (known) return known;
      const decision = this.isHeld && this.#admits(mutation) ? decide(mutation) : 'rejected';
      if (decision === 'accepted') return { mutationId: mutation.mutationId, status: decision };
      const outcome = decision === 'rejected' ? this.#refuse(mutation) : this.#apply(mutation, own, decision);
      this.#outcomes.set(mutation.mutationId, outcome);
      this.#unacked.set(mutation.mutationId, own);
      return outcome;
    });
    return { serverTime: AT, outcomes };
  }

  /** @param limit of deltas, so that a scope comes in several pages */
  pull(cursor: string | null, limit: number, own = 'd:dev'): PullResponse {
    const outcomes = [...this.#unacked].flatMap(([mutationId, device]) =>
      device === own ? (this.#outcomes.get(mutationId) ?? []) : [],
    );
    const rest = { serverTime: AT, outcomes, revoked: [], directives: [] };
    if (!this.isHeld) return { ...rest, scopes: [], revoked: [this.scope] };
    const [epoch, position] = (cursor ?? '-1:0').split(':').map(Number);
    const reset = epoch !== this.#epoch;
    const from = reset ? 0 : (position ?? 0);
    const left = [...this.#log.entries()].slice(from).filter(([, delta]) => delta !== null);
    const page = left.slice(0, limit);
    const deltas = page.flatMap(([, delta]) => delta ?? []);
    const hasMore = left.length > limit;
    const end = hasMore ? (page.at(-1)?.[0] ?? 0) + 1 : this.#log.length;
    const scope = {
      ...{ scope: this.scope, reset, deltas, cursor: `${this.#epoch}:${end}`, hasMore },
      ...(hasMore ? {} : { digest: this.digest }),
    };
    if (reset) this.#wantsResync = false;
    const directive = { kind: 'full_resync' as const, scopes: [this.scope] };
    return { ...rest, scopes: [scope], directives: this.#wantsResync ? [directive] : [] };
  }

  /** Outcomes that it would send again with every pull. */
  get unacked(): number {
    return this.#unacked.size;
  }

  ack(outcomes: readonly string[]): void {
    for (const mutationId of outcomes) this.#unacked.delete(mutationId);
  }

  /** Whether a document can take it: it is of this epoch, and what it builds on is there (POLICY-10, -11). */
  #admits({ op, entityId, update = '', baseClock = {} }: LocalMutation): boolean {
    if (op !== 'merge') return true;
    const { doc, start = {} } = this.#documents.get(entityId) ?? {};
    if (!doc || !hasAll(baseClock, start)) return false;
    const tried = new Y.Doc();
    Y.applyUpdate(tried, Y.encodeStateAsUpdate(doc));
    Y.applyUpdate(tried, Buffer.from(update, 'base64'));
    return tried.store.pendingStructs === null && tried.store.pendingDs === null;
  }

  #apply(
    { mutationId, entityId, op, data, update, baseClock = {} }: LocalMutation,
    own: `d:${string}`,
    status: 'applied' | 'merged',
  ): Outcome {
    const before = this.#states.get(entityId);
    const live = before && before.op !== 'delete' ? before.data : null;
    const counter = Math.max(counterOf(before?.clock ?? {}, own), counterOf(baseClock, own)) + 1;
    const clock = { ...before?.clock, [own]: counter };
    const asked = op === 'delete' ? null : op === 'patch' ? live && { ...live, ...data } : (data ?? {});
    const after = status === 'merged' ? { ...asked, ...live } : asked;
    this.applied.push(mutationId);
    if (op === 'merge') return this.#merge(mutationId, entityId, update ?? '', clock, status);
    if (op === 'delete') this.#documents.delete(entityId);
    const current = this.#commit(entityId, after, clock);
    return { mutationId, status, clock, ...(status === 'merged' ? { current } : {}) };
  }

  /** `current` shows nothing of a document (PULL-16). */
  #merge(
    mutationId: string,
    entityId: string,
    update: string,
    clock: VectorClock,
    status: 'applied' | 'merged',
  ): Outcome {
    const { doc } = this.#documents.get(entityId) ?? {};
    if (doc) Y.applyUpdate(doc, Buffer.from(update, 'base64'));
    const { data = null } = this.#states.get(entityId) ?? {};
    const current = this.#commit(entityId, data, clock, update);
    return { mutationId, status, clock, ...(status === 'merged' ? { current } : {}) };
  }

  #refuse({ mutationId, entityId }: LocalMutation): Outcome {
    this.refused.add(mutationId);
    // Out of sight it is as if it never was (PUSH-7).
    const visible = this.isHeld ? this.#states.get(entityId) : undefined;
    const current = visible ?? this.#deltaOf(entityId, null, {});
    return { mutationId, status: 'rejected', code: 'data_invalid', current };
  }

  #commit(
    entityId: string,
    data: Record<string, unknown> | null,
    clock: VectorClock,
    update?: string,
  ): RemoteDelta {
    const delta = this.#deltaOf(entityId, data, clock);
    this.#digest = changeDigest(this.#digest, this.#states.get(entityId) ?? null, delta);
    this.#states.set(entityId, delta);
    // What was added to a document stays beside what is added later.
    const before = this.#log.findIndex((each) => each?.entityId === entityId && each.update === undefined);
    if (before >= 0) this.#log[before] = null;
    this.#log.push(update === undefined ? delta : { ...delta, op: 'merge', update });
    return delta;
  }

  #deltaOf(entityId: string, data: Record<string, unknown> | null, clock: VectorClock): RemoteDelta {
    const entityType = this.#entityType;
    const fields = { entityType, entityId, clock: { ...clock }, committedAt: AT };
    const { schemaVersion } = this;
    return { ...fields, schemaVersion, op: data ? 'put' : 'delete', data };
  }
}

function base64Of(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
