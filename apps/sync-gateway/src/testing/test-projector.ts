import { createHash } from 'node:crypto';
import { addToDigest, EMPTY_DIGEST, entityDigestInput, subtractFromDigest } from '@sync/domain';
import type { Database } from '@sync/postgres';
import {
  type DeltaBatch,
  type GrantChange,
  joinDeltaLines,
  type ProjectedDelta,
  type RemoteDelta,
  type ScopeHead,
} from '@sync/protocol';
import { type IngestedChange, ingestDeltas } from '../ingest/ingest-store.ts';

interface ScopeState {
  epoch: string;
  sequence: number;
  hash: string;
  readonly live: Map<string, string>;
  readonly counters: Map<string, number>;
}

/**
 * Writes DELTAS as the projector does (sequences without gaps, digests, epochs) and applies them to a
 * gateway's database through the same SQL function as the consumer.
 */
export class TestProjector {
  readonly #scopes = new Map<string, ScopeState>();
  #deltas: ProjectedDelta[] = [];
  #wires: RemoteDelta[] = [];
  #grants: GrantChange[] = [];
  readonly #touched = new Set<string>();
  readonly #withDocuments = new Set<string>();
  #revision = 0;

  put(tenantId: string, scope: string, entityId: string, data: Record<string, unknown> = {}): this {
    return this.#add(tenantId, scope, entityId, data);
  }

  delete(tenantId: string, scope: string, entityId: string): this {
    return this.#add(tenantId, scope, entityId, null);
  }

  /** A delta of a document; its entity type is `note` like everything here. */
  document(
    tenantId: string,
    scope: string,
    entityId: string,
    document: 'whole' | 'increment',
    update: string | null,
    data: Record<string, unknown> = {},
  ): this {
    this.#withDocuments.add(key(tenantId, scope));
    return this.#add(tenantId, scope, entityId, update === null ? null : data, { document, update });
  }

  grant(tenantId: string, userId: string, scope: string, granted = true, sourceId = 'e1'): this {
    this.#revision += 1;
    const source = { sourceType: 'enrollment', sourceId, revision: this.#revision };
    this.#grants.push({ tenantId, userId, scope, granted, ...source });
    return this;
  }

  /** The projector's database was rebuilt: everything starts again under a new epoch. */
  newEpoch(tenantId: string, scope: string, epoch: string): this {
    this.#scopes.set(key(tenantId, scope), {
      ...{ epoch, sequence: 0, hash: EMPTY_DIGEST },
      live: new Map(),
      counters: new Map(),
    });
    return this;
  }

  digest(tenantId: string, scope: string): { count: number; hash: string } {
    const { live, hash } = this.#state(tenantId, scope);
    return { count: live.size, hash };
  }

  /**
   * What was projected since the last time, as one message.
   * @param isNews not of a snapshot or a replay, which have no time
   */
  message(isNews = true): string {
    const scopes: ScopeHead[] = [...this.#touched].map((text) => {
      const [tenantId = '', scope = ''] = text.split('\0');
      const { epoch, sequence, hash, live } = this.#state(tenantId, scope);
      const documents = this.#withDocuments.has(text) ? { documents: true } : {};
      return { tenantId, scope, epoch, sequence: String(sequence), count: live.size, hash, ...documents };
    });
    const committedAt = (isNews ? this.#wires.at(-1)?.committedAt : null) ?? null;
    const head: Pick<DeltaBatch, 'origin' | 'committedAt' | 'scopes' | 'grants'> = {
      ...{ origin: 'main', committedAt, scopes, grants: this.#grants },
    };
    const message = joinDeltaLines({
      head: JSON.stringify(head),
      deltas: JSON.stringify(this.#deltas),
      wires: this.#wires.map((wire) => JSON.stringify(wire)),
    });
    this.#deltas = [];
    this.#wires = [];
    this.#grants = [];
    this.#touched.clear();
    this.#withDocuments.clear();
    return message;
  }

  /** Applies messages (default: what was projected since the last time) in one transaction. */
  async ingest(
    database: Pick<Database, 'transaction'>,
    messages: readonly string[] = [this.message()],
    partition = 0,
  ): Promise<IngestedChange[]> {
    const given = messages.map((payload) => ({ partition, payload }));
    return database.transaction((tx) => ingestDeltas(tx, given));
  }

  #add(
    tenantId: string,
    scope: string,
    entityId: string,
    data: Record<string, unknown> | null,
    part: { readonly document: 'whole' | 'increment'; readonly update: string | null } | null = null,
  ): this {
    const state = this.#state(tenantId, scope);
    const counter = (state.counters.get(entityId) ?? 0) + 1;
    state.counters.set(entityId, counter);
    state.sequence += 1;
    this.#revision += 1;
    const clock = { 's:learning': counter };
    const present = part === null ? 'put' : 'merge';
    const wire: RemoteDelta = {
      ...{ entityType: 'note', entityId, op: data ? present : 'delete', clock, schemaVersion: 1 },
      committedAt: new Date().toISOString(),
      data,
      ...(part?.update === undefined || part.update === null ? {} : { update: part.update }),
    };
    const before = state.live.get(entityId);
    if (before !== undefined) state.hash = subtractFromDigest(state.hash, before);
    state.live.delete(entityId);
    if (data) {
      const digest = createHash('sha256')
        .update(entityDigestInput('note', entityId, clock))
        .digest('hex');
      state.hash = addToDigest(state.hash, digest);
      state.live.set(entityId, digest);
    }
    this.#deltas.push({
      ...{ tenantId, scope, sequence: String(state.sequence), entityType: 'note', entityId },
      ...{ revision: this.#revision, deleted: data === null, clock, fieldWrites: null },
      ...(part === null ? {} : { document: part.document }),
    });
    this.#wires.push(wire);
    this.#touched.add(key(tenantId, scope));
    return this;
  }

  #state(tenantId: string, scope: string): ScopeState {
    const known = this.#scopes.get(key(tenantId, scope));
    if (known) return known;
    this.newEpoch(tenantId, scope, 'e1');
    return this.#state(tenantId, scope);
  }
}

function key(tenantId: string, scope: string): string {
  return `${tenantId}\0${scope}`;
}
