import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { callGateway, NotStrictError, tagMutation, type DeviceCredentials } from '@sync/e2e-device';
import type {
  ConflictRecord,
  LocalMutation,
  Outcome,
  Problem,
  PullResponse,
  PushResponse,
  RemoteDelta,
} from '@sync/protocol';
import {
  containsClock,
  deviceReplica,
  incrementClock,
  mergeClocks,
  type VectorClock,
} from '@sync/vector-clock';
import { type HeldText, mergeText, piecesOf } from './document-text.ts';
import type { RunLog, WriteFact } from './run-log.ts';

/** Everything that a backup of the device has. */
interface DeviceMemory {
  scopes: Map<string, { cursor: string | null; entities: Map<string, RemoteDelta> }>;
  outbox: LocalMutation[];
  /** What has its outcome, in the order in which it was written. */
  ended: LocalMutation[];
  sequence: number;
  /** By entity, the clock with the own changes that are still to be pushed. */
  clocks: Map<string, VectorClock>;
  texts: Map<string, HeldText>;
  /** By entity and field, the values that were shown. */
  saw: Map<string, Set<string>>;
}

/** What becomes a LocalMutation. */
export type Change = Pick<LocalMutation, 'scope' | 'entityType' | 'entityId' | 'op'> &
  Partial<Pick<LocalMutation, 'data' | 'update' | 'occurredAt'>> &
  Pick<WriteFact, 'tokens' | 'removes'>;

export const keyOf = ({ entityType, entityId }: { readonly entityType: string; readonly entityId: string }) =>
  `${entityType}/${entityId}`;

/** Codes of outcomes that show an entity as absent, whatever it is. */
const OUT_OF_SIGHT: ReadonlySet<string> = new Set(['scope_not_held', 'forbidden']);

/** The gateway did not answer with what was asked for; the device tries again later. */
export class NotAnsweredError extends Error {
  override readonly name = 'NotAnsweredError';
}

/**
 * A device that does what the client guide says and nothing more. It believes every answer: `current` of an
 * outcome is what it has from then on. Everything it is told goes into the log of the run. It is none of the
 * SDK, which would never do what these runs are about: push in another order, once more, in the session of
 * somebody else, or without its own entry. `npm run soak` looks for lost work with devices of the SDK.
 */
export class CustodyDevice {
  readonly name: string;
  readonly userId: string;
  credentials: DeviceCredentials;
  clientId: number;
  /** Its `baseClock` has all of its own earlier changes, also those that are not pushed yet. */
  countsItsChanges: boolean;
  readonly #leavesOwnEntryOut: boolean;
  readonly #gateway: string;
  readonly #log: RunLog;
  #memory: DeviceMemory = emptyMemory();
  #backup: DeviceMemory | null = null;
  /** By deviceId and entity: clocks of outcomes that said that the change stands. Nobody takes them back. */
  readonly #promised = new Map<string, VectorClock[]>();

  constructor(
    name: string,
    userId: string,
    credentials: DeviceCredentials,
    options: {
      readonly gateway: string;
      readonly log: RunLog;
      readonly leavesOwnEntryOut: boolean;
      readonly clientId: number;
    },
  ) {
    this.name = name;
    this.userId = userId;
    this.credentials = credentials;
    this.clientId = options.clientId;
    this.#gateway = options.gateway;
    this.#log = options.log;
    this.#leavesOwnEntryOut = options.leavesOwnEntryOut;
    this.countsItsChanges = !options.leavesOwnEntryOut;
  }

  get pending(): readonly LocalMutation[] {
    return this.#memory.outbox;
  }

  get remembered(): readonly LocalMutation[] {
    return [...this.#memory.ended, ...this.#memory.outbox];
  }

  get scopes(): ReadonlyMap<string, { readonly entities: ReadonlyMap<string, RemoteDelta> }> {
    return this.#memory.scopes;
  }

  entity(scope: string, key: string): RemoteDelta | undefined {
    return this.#memory.scopes.get(scope)?.entities.get(key);
  }

  text(key: string): HeldText | undefined {
    return this.#memory.texts.get(key);
  }

  write(change: Change, held?: HeldText): void {
    const { tokens, removes, ...fields } = change;
    const key = keyOf(fields);
    const own = deviceReplica(this.credentials.deviceId);
    const pulled = this.entity(fields.scope, key)?.clock ?? {};
    const known = mergeClocks(this.#memory.clocks.get(key) ?? {}, pulled);
    const { [own]: _own, ...others } = pulled;
    this.#memory.sequence += 1;
    const mutation = this.#tagged({
      mutationId: randomUUID(),
      sequence: this.#memory.sequence,
      baseClock: this.#leavesOwnEntryOut ? others : known,
      occurredAt: new Date().toISOString(),
      schemaVersion: 1,
      ...fields,
    });
    this.#memory.clocks.set(key, incrementClock(known, own));
    this.#memory.outbox.push(mutation);
    if (held) this.#memory.texts.set(key, held);
    const saw = new Map([...this.#memory.saw].flatMap(([name, values]) => sawOf(name, values, key)));
    this.#log.writes.set(mutation.mutationId, { mutation, userId: this.userId, tokens, saw, removes });
    for (const [field, token] of tokens) this.#show(key, field, token);
    const said = [...tokens].map(([field, token]) => `${field}=${token}`).join(' ');
    this.#log.note(`${this.name} writes ${fields.op} ${key} ${said} (${mutation.mutationId.slice(0, 8)})`);
  }

  /**
   * @param as whose session the request is sent in, if not the device's own
   * @param lost the answer does not arrive
   */
  async push(
    mutations: readonly LocalMutation[],
    { as, lost = false }: { readonly as?: CustodyDevice; readonly lost?: boolean } = {},
  ): Promise<void> {
    if (mutations.length === 0) return;
    const sender = as ?? this;
    this.#log.sent(mutations);
    // A tag of one device is none of another’s; without them a stranger’s session may get through.
    const sent = as ? mutations.map(({ tag: _, ...mutation }) => mutation) : mutations;
    const body = { sentAt: new Date().toISOString(), mutations: sent };
    const { outcomes } = await sender.call<PushResponse>('/sync/v1/push', body);
    if (lost) return;
    this.#log.answered(sender.credentials.deviceId, sender.userId, outcomes);
    const told = outcomes.map(({ mutationId, status, code, conflictId }) => {
      return [mutationId.slice(0, 8), status, code, conflictId && 'recorded'].filter(Boolean).join(' ');
    });
    this.#log.note(`${this.name} pushed${as ? ` as ${as.name}` : ''}: ${told.join(', ')}`);
    if (!as) this.#take(outcomes);
  }

  /** Pulls everything that the user holds, page by page, and acks it. */
  async sync(): Promise<void> {
    for (let more = true; more;) {
      const { scopes } = this.#memory;
      const asked = [...scopes].map(([scope, { cursor }]) => ({ scope, cursor }));
      const known = asked.length > 0 ? await this.#pull({ scopes: asked }) : null;
      const all = await this.#pull({});
      const fresh = all.scopes.filter(({ scope }) => !scopes.has(scope));
      for (const { scope } of fresh) scopes.set(scope, { cursor: null, entities: new Map() });
      for (const page of known?.scopes ?? []) this.#applyPage(page);
      const revoked = [...new Set([...(known?.revoked ?? []), ...all.revoked])];
      for (const scope of revoked) this.#purge(scope);
      await this.call('/sync/v1/ack', {
        cursors: [...scopes].flatMap(([scope, { cursor }]) => (cursor === null ? [] : [{ scope, cursor }])),
        purged: revoked,
      });
      more = fresh.length > 0 || (known?.scopes.some(({ hasMore }) => hasMore) ?? false);
    }
    this.#log.note(`${this.name} synced`);
  }

  /** The ConflictRecords that its user has pulled. */
  get records(): readonly ConflictRecord[] {
    const entities = this.#memory.scopes.get(`user:${this.userId}`)?.entities.values() ?? [];
    return [...entities].flatMap(({ entityType, data }) => {
      return entityType === 'conflict' ? [data as unknown as ConflictRecord] : [];
    });
  }

  /**
   * The first entity that this device and another one of the same user show differently; null when there is
   * none.
   */
  differsFrom(other: CustodyDevice): string | null {
    const scopes = new Set([...this.scopes.keys(), ...other.scopes.keys()]);
    for (const scope of scopes) {
      const [own, others] = [this, other].map((device) => device.scopes.get(scope)?.entities);
      for (const key of new Set([...(own?.keys() ?? []), ...(others?.keys() ?? [])])) {
        const [a, b] = [own, others].map((entities) => shownOf(entities?.get(key)));
        if (!isDeepStrictEqual(a, b)) return `${scope} ${key}: ${JSON.stringify(a)} and ${JSON.stringify(b)}`;
      }
    }
    return null;
  }

  backup(): void {
    this.#backup = structuredClone(this.#memory);
  }

  restore(clientId: number): void {
    if (!this.#backup) return;
    this.#memory = structuredClone(this.#backup);
    this.clientId = clientId;
  }

  /**
   * Only the outbox of before is there, and what its user had seen. What waits in it is not counted: it may
   * have been applied as the old device's.
   */
  reinstall(credentials: DeviceCredentials, clientId: number): void {
    this.credentials = credentials;
    this.clientId = clientId;
    const { outbox: old, ended: gone, saw } = this.#memory;
    const outbox = old.map((mutation) => this.#tagged(mutation));
    const ended = gone.map((mutation) => this.#tagged(mutation));
    this.#memory = { ...emptyMemory(), outbox, ended, saw };
    this.countsItsChanges = false;
    this.#backup = null;
  }

  #tagged(mutation: LocalMutation): LocalMutation {
    return tagMutation(this.credentials, mutation);
  }

  async call<T>(path: string, body: unknown): Promise<T> {
    const signal = AbortSignal.timeout(60_000);
    const asking = callGateway<unknown>(this.#gateway, this.credentials, path, body, { signal });
    const { status, body: told } = await asking.catch((error: unknown) => {
      if (error instanceof NotStrictError) this.#log.faults.push(`${path}: ${error.message}`);
      throw error;
    });
    if (status === 200) return told as T;
    const { code, retryable } = told as Problem;
    if (status === 500 || !retryable) this.#log.faults.push(`${path} answered ${status} ${code}`);
    throw new NotAnsweredError(`${path} answered ${status} ${code}`);
  }

  async #pull(body: object): Promise<PullResponse> {
    const answer = await this.call<PullResponse>('/sync/v1/pull', { ...body, limit: 200 });
    this.#log.answered(this.credentials.deviceId, this.userId, answer.outcomes);
    this.#take(answer.outcomes);
    return answer;
  }

  #applyPage(page: PullResponse['scopes'][number]): void {
    const scope = this.#memory.scopes.get(page.scope) ?? { cursor: null, entities: new Map() };
    if (page.reset) scope.entities.clear();
    for (const delta of page.deltas) this.#applyDelta(scope.entities, delta);
    scope.cursor = page.cursor;
    this.#memory.scopes.set(page.scope, scope);
  }

  #applyDelta(entities: Map<string, RemoteDelta>, delta: RemoteDelta): void {
    const key = keyOf(delta);
    if (delta.op === 'delete') {
      entities.delete(key);
      return;
    }
    entities.set(key, delta);
    if (delta.update !== undefined) {
      const held = mergeText(this.#memory.texts.get(key), Number(delta.data?.['epoch']), delta.update);
      this.#memory.texts.set(key, held);
      for (const piece of piecesOf(held)) this.#show(key, '', piece);
    }
    for (const [field, value] of Object.entries(delta.data ?? {})) this.#show(key, field, String(value));
  }

  #purge(scope: string): void {
    for (const key of this.#memory.scopes.get(scope)?.entities.keys() ?? []) this.#memory.texts.delete(key);
    this.#memory.scopes.delete(scope);
  }

  #take(outcomes: readonly Outcome[]): void {
    for (const outcome of outcomes) {
      const { mutationId, status, code, current, clock } = outcome;
      if (status === 'accepted') continue;
      const mutation = this.#memory.outbox.find((one) => one.mutationId === mutationId);
      const known = this.#log.writes.get(mutationId)?.mutation;
      if (!known) continue;
      const promised = `${this.credentials.deviceId} ${keyOf(known)}`;
      // What its user may not see is shown as absent.
      if (current && !OUT_OF_SIGHT.has(code ?? '')) {
        this.#believe(known, current, this.#promised.get(promised) ?? []);
      }
      if (clock && (status === 'applied' || status === 'merged')) {
        this.#promised.set(promised, [...(this.#promised.get(promised) ?? []), clock]);
        if (known.op === 'delete') this.#removeBefore(known, clock);
      }
      if (!mutation) continue;
      this.#memory.outbox = this.#memory.outbox.flatMap((one) => {
        if (one !== mutation) return [one];
        return code === 'mutation_id_reused' ? [this.#underNewId(mutation)] : [];
      });
      this.#memory.ended.push(mutation);
    }
  }

  /** A stranger's session has used the id. */
  #underNewId(mutation: LocalMutation): LocalMutation {
    this.#memory.sequence += 1;
    const { sequence } = this.#memory;
    const again = this.#tagged({ ...mutation, mutationId: randomUUID(), sequence });
    const written = this.#log.writes.get(mutation.mutationId);
    if (written) this.#log.writes.set(again.mutationId, { ...written, mutation: again });
    const [before, after] = [mutation, again].map(({ mutationId }) => mutationId.slice(0, 8));
    this.#log.note(`${this.name} writes ${before} again as ${after}`);
    return again;
  }

  /** A deletion that stands: what the server had before it is not shown any more. */
  #removeBefore(mutation: LocalMutation, clock: VectorClock): void {
    const entities = this.#memory.scopes.get(mutation.scope)?.entities;
    const held = entities?.get(keyOf(mutation));
    if (held && containsClock(clock, held.clock)) entities?.delete(keyOf(mutation));
  }

  #believe(mutation: LocalMutation, current: RemoteDelta, promised: readonly VectorClock[]): void {
    const behind = promised.find((clock) => !containsClock(current.clock, clock));
    // Nothing of a withdrawn scope is shown, and that takes nothing from a device: any clock contains this
    // one.
    const isHidden = this.#log.withdrawn.has(mutation.scope) && Object.keys(current.clock).length === 0;
    if (behind && !isHidden) {
      const id = mutation.mutationId.slice(0, 8);
      const [now, before] = [current.clock, behind].map((clock) => JSON.stringify(clock));
      this.#log.faults.push(
        `${keyOf(mutation)}: current ${now} of ${id} is behind what was answered before, ${before}`,
      );
    }
    const entities = this.#memory.scopes.get(mutation.scope)?.entities;
    const held = entities?.get(keyOf(mutation));
    if (!entities || current.update !== undefined || held?.update !== undefined) return;
    if (held && containsClock(held.clock, current.clock)) return;
    this.#applyDelta(entities, current);
  }

  #show(key: string, field: string, value: string): void {
    const name = `${key} ${field}`;
    this.#memory.saw.set(name, (this.#memory.saw.get(name) ?? new Set()).add(value));
  }
}

function sawOf(name: string, values: ReadonlySet<string>, key: string): [string, ReadonlySet<string>][] {
  return name.startsWith(`${key} `) ? [[name.slice(key.length + 1), new Set(values)]] : [];
}

/** Copied as JSON: Jest gives what a backup has brought back other prototypes, which are not deeply equal. */
function shownOf(delta: RemoteDelta | undefined): unknown {
  return delta && JSON.parse(JSON.stringify({ clock: delta.clock, data: delta.data }));
}

function emptyMemory(): DeviceMemory {
  return {
    scopes: new Map(),
    outbox: [],
    ended: [],
    sequence: 0,
    clocks: new Map(),
    texts: new Map(),
    saw: new Map(),
  };
}
