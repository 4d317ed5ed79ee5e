import { SyncError } from '@sync/client';
import { hasAll } from '@sync/client/parts';
import { LIMITS } from '@sync/protocol/device';
import type { PullResponse, RemoteDelta } from '@sync/protocol';
import type { ReplicationPullHandlerResult, RxCollection, WithDeleted } from 'rxdb';
import type { Connection } from './connection.ts';
import { type Replicated, type Synced, documentOf, readStored } from './documents.ts';

/** How far a collection has come in each scope. RxDB stores it with the documents of a page. */
export interface Checkpoint {
  readonly scopes: Readonly<Record<string, Reached>>;
  /** Of the answer, so that no two are equal. */
  readonly serverTime: string;
}

interface Reached {
  readonly cursor: string;
  /** The scope began anew and is not at its head. Which documents came is known in memory only. */
  readonly isAnew: boolean;
}

type Page = ReplicationPullHandlerResult<Synced, Checkpoint>;

/** The pull handler of one collection. */
export class DocumentPuller {
  readonly #connection: Connection;
  readonly #collection: RxCollection<Synced>;
  readonly #type: Replicated;
  readonly #primaryPath: string;
  /** What came since scopes began anew; the rest of them is deleted at their end. */
  readonly #seen = new Map<string, Set<string>>();
  /** Where documents are held that RxDB may be storing still. */
  readonly #places = new Map<string, string>();
  #outcomes: string[] = [];
  #acked = '';
  #last: Page | null = null;
  #ahead: { readonly from: string | undefined; readonly reached: Checkpoint } | null = null;

  constructor(connection: Connection, collection: RxCollection<Synced>, type: Replicated) {
    this.#connection = connection;
    this.#collection = collection;
    this.#type = type;
    this.#primaryPath = collection.schema.primaryPath;
  }

  /** @throws SyncError `request_failed`, `device_revoked` */
  async pull(checkpoint: Checkpoint | undefined, batchSize: number): Promise<Page> {
    // RxDB stores no checkpoint without documents; the way past those of other types is not made twice.
    const isAhead = this.#ahead !== null && this.#ahead.from === checkpoint?.serverTime;
    const from = isAhead ? this.#ahead?.reached : checkpoint;
    await this.#ackStored(from, batchSize);
    const documents = new Map<string, WithDeleted<Synced>>();
    let { scopes, serverTime } = from ?? { scopes: {}, serverTime: '' };
    for (let hasMore = true; hasMore && documents.size < batchSize;) {
      hasMore = false;
      const held = [...(await this.#connection.scopes())];
      for (let at = 0; at === 0 || at < held.length; at += LIMITS.scopesPerPull) {
        const answer = await this.#ask(held.slice(at, at + LIMITS.scopesPerPull), scopes, batchSize);
        for (const page of answer.scopes) {
          scopes = { ...scopes, [page.scope]: await this.#take(page, scopes[page.scope], documents) };
          hasMore ||= page.hasMore;
        }
        await this.#takeOutcomes(answer, documents);
        for (const scope of answer.revoked) await this.#purge(scope, documents);
        await this.#connection.change(answer);
        ({ serverTime } = answer);
      }
    }
    const reached = { scopes, serverTime };
    this.#ahead = documents.size > 0 ? null : { from: checkpoint?.serverTime, reached };
    return (this.#last = { documents: [...documents.values()], checkpoint: reached });
  }

  /** RxDB stores a page while it asks for the next one; after a short page it begins with what is stored. */
  async #ackStored(checkpoint: Checkpoint | undefined, batchSize: number): Promise<void> {
    const { documents = [], checkpoint: last } = this.#last ?? {};
    if (documents.length >= batchSize) return;
    this.#places.clear();
    if (documents.length > 0 && last?.serverTime !== checkpoint?.serverTime) return;
    const all = Object.entries(checkpoint?.scopes ?? {}).map(([scope, { cursor }]) => ({ scope, cursor }));
    const held = await this.#connection.scopes();
    const cursors = all.filter(({ scope }) => held.has(scope)).slice(0, LIMITS.scopesPerPull);
    const outcomes = this.#outcomes.splice(0, LIMITS.outcomesPerAck);
    const stored = JSON.stringify(cursors);
    const isNew = stored !== this.#acked;
    if (await this.#connection.ack({ cursors: isNew ? cursors : [], outcomes })) this.#acked = stored;
    else this.#outcomes.push(...outcomes);
  }

  /** A cursor that the server does not take is no reason to stand still: the scopes begin anew. */
  async #ask(names: string[], reached: Checkpoint['scopes'], limit: number): Promise<PullResponse> {
    const scopes = names.map((scope) => {
      const { cursor = null, isAnew = false } = reached[scope] ?? {};
      return { scope, cursor: isAnew && !this.#seen.has(scope) ? null : cursor };
    });
    const size = Math.min(limit, LIMITS.deltasPerPull);
    return this.#connection.send<PullResponse>('pull', { scopes, limit: size }).catch((error: unknown) => {
      if (!(error instanceof SyncError) || error.failure?.kind !== 'cursor_invalid') throw error;
      const anew = scopes.map(({ scope }) => ({ scope, cursor: null }));
      return this.#connection.send<PullResponse>('pull', { scopes: anew, limit: size });
    });
  }

  async #take(
    page: PullResponse['scopes'][number],
    before: Reached | undefined,
    documents: Map<string, WithDeleted<Synced>>,
  ): Promise<Reached> {
    const { scope, reset, hasMore, cursor } = page;
    // A first sync of an empty collection goes on after a restart where it was.
    const hasRows = reset && (before !== undefined || (await this.#collection.count().exec()) > 0);
    if (hasRows) this.#seen.set(scope, new Set());
    const seen = this.#seen.get(scope);
    const deltas = page.deltas.filter(({ entityType }) => entityType === this.#type.entityType);
    for (const delta of deltas) seen?.add(delta.entityId);
    await this.#add(scope, deltas, documents);
    const isAnew = reset ? hasRows : (before?.isAnew ?? false);
    if (isAnew && !hasMore) {
      await this.#sweep(scope, documents, seen);
      this.#seen.delete(scope);
    }
    return { cursor, isAnew: isAnew && hasMore };
  }

  async #add(
    scope: string,
    deltas: readonly RemoteDelta[],
    documents: Map<string, WithDeleted<Synced>>,
  ): Promise<void> {
    const ends = deltas.flatMap(({ entityId, data }) => (data === null ? [entityId] : []));
    const stored = await readStored(this.#collection, ends);
    for (const delta of deltas) {
      const held = stored.get(delta.entityId);
      // It left one scope, and is held in another.
      if (delta.data === null && this.#placeOf(delta.entityId, held) !== scope) continue;
      this.#places.set(delta.entityId, scope);
      const place = { scope, primaryPath: this.#primaryPath, held };
      documents.set(delta.entityId, documentOf(delta, place));
    }
  }

  #placeOf(id: string, held: Synced | undefined): string {
    return this.#places.get(id) ?? held?.syncState?.scope ?? this.#type.scope;
  }

  /** What the server has instead of a mutation that waited for its service; RxDB took it for written. */
  async #takeOutcomes(answer: PullResponse, documents: Map<string, WithDeleted<Synced>>): Promise<void> {
    const shown = new Map(answer.outcomes.map(({ mutationId, current }) => [mutationId, current]));
    for (const outcome of answer.outcomes) {
      const current = outcome.current ?? shown.get(outcome.currentOf ?? '');
      const isOwn = current?.entityType === this.#type.entityType;
      if (current && !isOwn && this.#connection.collections.has(current.entityType)) continue;
      this.#connection.tell(outcome, null);
      this.#outcomes.push(outcome.mutationId);
      if (!current || !isOwn || this.#connection.answered.has(outcome.mutationId)) continue;
      const held = (await readStored(this.#collection, [current.entityId])).get(current.entityId);
      const { clock = {} } = documents.get(current.entityId)?.syncState ?? held?.syncState ?? {};
      if (hasAll(clock, current.clock) && !hasAll(current.clock, clock)) continue;
      const place = { scope: this.#placeOf(current.entityId, held), primaryPath: this.#primaryPath, held };
      documents.set(current.entityId, documentOf(current, place));
    }
  }

  async #purge(scope: string, documents: Map<string, WithDeleted<Synced>>): Promise<void> {
    if ((await this.#sweep(scope, documents)) === 0)
      await this.#connection.left(scope, this.#type.entityType);
  }

  /** RxDB has no `truncate`: each document is deleted by itself. It passes over those with unsent changes. */
  async #sweep(
    scope: string,
    documents: Map<string, WithDeleted<Synced>>,
    seen?: ReadonlySet<string>,
  ): Promise<number> {
    const all = (await this.#collection.find().exec()).map((each) => each.toMutableJSON());
    const idOf = (each: Synced): string => String(each[this.#primaryPath]);
    const gone = all.filter((each) => {
      return !seen?.has(idOf(each)) && this.#placeOf(idOf(each), each) === scope;
    });
    for (const held of gone) {
      const state = { entityId: idOf(held), clock: held.syncState?.clock ?? {}, data: null };
      documents.set(idOf(held), documentOf(state, { scope, primaryPath: this.#primaryPath, held }));
    }
    return gone.length;
  }
}
