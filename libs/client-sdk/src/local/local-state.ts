import type { AckRequest, LocalMutation, PullRequest } from '@sync/protocol';
import type { ReplicaId } from '@sync/vector-clock';
import { type OutboxEntry, isDone, isTerminal, outboxKey } from '../outbox/entry.ts';
import type { EntityRow, ScopeRow } from '../replica/rows.ts';
import { scopeKey } from '../replica/rows.ts';
import { sameDigest } from '../replica/digest.ts';
import { type Commit, type Store, keyOf } from '../storage/store.ts';
import { Mirror } from './mirror.ts';
import { Serial } from './serial.ts';

/** How many scopes one pull names, and how many outcomes one ack. */
const SCOPES_PER_PULL = 100;
const OUTCOMES_PER_ACK = 1_000;

/**
 * What is stored and its mirror in memory, which change together: first the store, then the mirror, one change
 * after the other. Whoever leads has a term; what a leader of an earlier term would store is refused by the
 * store, so that two of them do no harm.
 */
export class LocalState {
  readonly store: Store;
  readonly own: ReplicaId;
  readonly mirror = new Mirror();
  readonly #serial = new Serial();
  #term = 0;
  /** Terminal outcomes of mutations that the outbox does not know any more. */
  readonly strayOutcomes = new Set<string>();
  #nextScope = 0;

  constructor(store: Store, own: ReplicaId) {
    this.store = store;
    this.own = own;
  }

  /** Reads scopes and outbox, and begins a term. */
  async open(): Promise<void> {
    await this.exclusively(async () => {
      for (;;) {
        const [term = 0] = await this.store.counters(['term']);
        if (await this.store.commit({ expect: { term }, counters: { term: term + 1 } })) {
          this.#term = term + 1;
          break;
        }
      }
      for (const { value } of await this.store.list('scope', '')) {
        const row = value as unknown as ScopeRow;
        this.mirror.scopes.set(row.scope, row);
      }
      for (const { value } of await this.store.list('outbox', '')) {
        this.mirror.setEntry(value as unknown as OutboxEntry);
      }
    });
  }

  /** Makes the entities of a type known to the mirror. */
  async load(entityType: string): Promise<void> {
    await this.exclusively(async () => {
      if (this.mirror.isLoaded(entityType)) return;
      const rows: EntityRow[] = [];
      for (const scope of this.mirror.scopes.keys()) {
        const found = await this.store.list('entity', keyOf(scope, entityType));
        rows.push(...found.map(({ value }) => value as unknown as EntityRow));
      }
      this.mirror.load(entityType, rows);
    });
    this.mirror.announce();
  }

  /** Nothing else reads and then changes what is stored meanwhile, in this tab. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    return this.#serial.run(work);
  }

  /**
   * Stores what the server has said.
   * @throws NotLeadingError when another tab leads by now
   * @throws StorageError
   */
  async commitAsLeader(change: Commit): Promise<void> {
    const isStored = await this.store.commit({ ...change, expect: { ...change.expect, term: this.#term } });
    if (!isStored) throw new NotLeadingError();
  }

  /** The scopes of the next pull: those with more to come first, then all others in turn. */
  nextScopes(): PullRequest['scopes'] | undefined {
    const held = [...this.mirror.scopes.values()].filter(({ isRevoked }) => !isRevoked);
    if (held.length === 0) return undefined;
    const behind = held.filter(({ serverDigest }) => serverDigest === null);
    const rest = held.filter(({ serverDigest }) => serverDigest !== null);
    const turn = rest.length > 0 ? this.#nextScope % rest.length : 0;
    const asked = [...behind, ...rest.slice(turn), ...rest.slice(0, turn)].slice(0, SCOPES_PER_PULL);
    if (held.length > SCOPES_PER_PULL) this.#nextScope += SCOPES_PER_PULL;
    return asked.map(({ scope, cursor }) => ({ scope, cursor }));
  }

  get hasMoreScopesThanAPull(): boolean {
    return this.mirror.scopes.size > SCOPES_PER_PULL;
  }

  /** @returns what there is to ack; null when there is nothing */
  ackBody(): AckRequest | null {
    const scopes = [...this.mirror.scopes.values()];
    const cursors = scopes
      .filter((row) => !row.isRevoked && row.cursor !== null && row.cursor !== row.ackedCursor)
      .slice(0, SCOPES_PER_PULL)
      .map(({ scope, cursor, serverDigest, digest }) => ({
        scope,
        cursor: cursor ?? '',
        // Behind the head there is nothing to compare it with.
        ...(serverDigest ? { digest } : {}),
      }));
    const purged = scopes.filter(({ isRevoked }) => isRevoked).slice(0, SCOPES_PER_PULL);
    const own = [...this.mirror.entries()].filter((entry) => isTerminal(entry) && !entry.isAcked);
    const outcomes = [...own.map(({ mutation }) => mutation.mutationId), ...this.strayOutcomes];
    if (cursors.length === 0 && purged.length === 0 && outcomes.length === 0) return null;
    return {
      cursors,
      outcomes: outcomes.slice(0, OUTCOMES_PER_ACK),
      purged: purged.map(({ scope }) => scope),
    };
  }

  /** The server has taken the ack. */
  async storeAck({ cursors = [], outcomes = [], purged = [] }: AckRequest): Promise<void> {
    await this.exclusively(async () => {
      const rows = cursors.flatMap(({ scope, cursor }) => {
        const row = this.mirror.scopes.get(scope);
        return row?.cursor === cursor ? [{ ...row, ackedCursor: cursor }] : [];
      });
      const entries = outcomes.flatMap((mutationId) => {
        const entry = this.mirror.entryOf(mutationId);
        return entry ? [{ ...entry, isAcked: true }] : [];
      });
      await this.commitAsLeader({
        puts: [...rows.map(scopePut), ...entries.filter((entry) => !isDone(entry)).map(entryPut)],
        deletes: [
          ...purged.map((scope) => ({ table: 'scope', key: scopeKey(scope) }) as const),
          ...entries.filter(isDone).map(entryAddress),
        ],
      });
      for (const row of rows) this.mirror.scopes.set(row.scope, row);
      for (const scope of purged) this.mirror.scopes.delete(scope);
      for (const entry of entries) this.mirror.setEntry(entry);
      for (const mutationId of outcomes) this.strayOutcomes.delete(mutationId);
    });
    this.mirror.announce();
  }

  /** The next pull begins them anew; what is held of them stays until it has come again. */
  async dropCursors(scopes: readonly string[]): Promise<void> {
    await this.exclusively(async () => {
      const rows = scopes.flatMap((scope) => {
        const row = this.mirror.scopes.get(scope);
        return row ? [{ ...row, cursor: null, serverDigest: null }] : [];
      });
      await this.commitAsLeader({ puts: rows.map(scopePut) });
      for (const row of rows) this.mirror.scopes.set(row.scope, row);
    });
  }

  /** Scopes whose content is not what the server has, as of the same cursor. */
  get differingScopes(): string[] {
    return [...this.mirror.scopes.values()].flatMap(({ scope, digest, serverDigest }) =>
      serverDigest && !sameDigest(digest, serverDigest) ? [scope] : [],
    );
  }

  /** Mutations that no answer has come for. */
  get queued(): LocalMutation[] {
    return [...this.mirror.entries()].flatMap(({ state, mutation }) =>
      state === 'queued' ? [mutation] : [],
    );
  }
}

/** Another tab leads: what this one wanted to store was not stored. */
export class NotLeadingError extends Error {
  constructor() {
    super('Another tab talks to the server now');
    this.name = 'NotLeadingError';
  }
}

export function scopePut(row: ScopeRow) {
  return { table: 'scope', key: scopeKey(row.scope), value: { ...row } } as const;
}

export function entryPut(entry: OutboxEntry) {
  return { ...entryAddress(entry), value: { ...entry } } as const;
}

export function entryAddress({ mutation }: OutboxEntry) {
  return { table: 'outbox', key: outboxKey(mutation.sequence) } as const;
}
