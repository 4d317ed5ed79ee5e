import { type OutboxEntry, isDone, isTerminal } from '../outbox/entry.ts';

/** An entity, or what there is of it in a scope or in the outbox. */
export interface Place {
  readonly entityType: string;
  readonly entityId: string;
}

const NONE: ReadonlyMap<number, OutboxEntry> = new Map();

/**
 * The outbox in memory, with an index for each question that is asked at every turn: none of them walks over
 * all that waits. Every map is by `sequence`.
 */
export class OutboxIndex {
  readonly #all = new Map<number, OutboxEntry>();
  readonly #sequences = new Map<string, number>();
  readonly #queued = new Map<number, OutboxEntry>();
  readonly #unacked = new Map<number, OutboxEntry>();
  /** By scope. */
  readonly #unconfirmed = new Map<string, Map<number, OutboxEntry>>();
  /** By {@link placeKey}. */
  readonly #ofPlace = new Map<string, Map<number, OutboxEntry>>();

  /** In the order of writing. */
  all(): Iterable<OutboxEntry> {
    return this.#all.values();
  }

  get size(): number {
    return this.#all.size;
  }

  /** Those that no answer has come for, in the order of writing. */
  queued(): Iterable<OutboxEntry> {
    return this.#queued.values();
  }

  get queuedCount(): number {
    return this.#queued.size;
  }

  /** When the first of them was made, by the device's clock. */
  get oldestQueuedAt(): string | null {
    const [oldest] = this.#queued.values();
    return oldest?.mutation.occurredAt ?? null;
  }

  /** Those whose terminal outcome the server still keeps for this device. */
  unacked(): Iterable<OutboxEntry> {
    return this.#unacked.values();
  }

  /** Scopes in which a change stands that no delta has confirmed. */
  unconfirmedScopes(): Iterable<string> {
    return this.#unconfirmed.keys();
  }

  /** Changes that stand in the scope and that no delta has confirmed, the oldest outcome first. */
  unconfirmedIn(scope: string): Iterable<OutboxEntry> {
    return (this.#unconfirmed.get(scope) ?? NONE).values();
  }

  /** In the order of writing. */
  ofPlace(place: Place): Iterable<OutboxEntry> {
    return (this.#ofPlace.get(placeKey(place)) ?? NONE).values();
  }

  of(mutationId: string): OutboxEntry | undefined {
    return this.#all.get(this.#sequences.get(mutationId) ?? -1);
  }

  at(sequence: number): OutboxEntry | undefined {
    return this.#all.get(sequence);
  }

  /**
   * Adds an entry behind all others, or replaces it; takes one out that is done.
   * @returns the one before
   */
  set(entry: OutboxEntry): OutboxEntry | undefined {
    const { sequence, mutationId, scope } = entry.mutation;
    const before = this.#all.get(sequence);
    const isLeft = !isDone(entry);
    if (isLeft) this.#sequences.set(mutationId, sequence);
    else this.#sequences.delete(mutationId);
    keep(this.#all, entry, isLeft);
    keep(this.#queued, entry, entry.state === 'queued');
    keep(this.#unacked, entry, isTerminal(entry) && !entry.isAcked);
    keepIn(this.#unconfirmed, scope, entry, entry.state === 'stands' && !entry.isContained);
    keepIn(this.#ofPlace, placeKey(entry.mutation), entry, isLeft);
    return before;
  }

  clear(): void {
    for (const map of [this.#all, this.#queued, this.#unacked]) map.clear();
    for (const map of [this.#sequences, this.#unconfirmed, this.#ofPlace]) map.clear();
  }
}

export function placeKey({ entityType, entityId }: Place): string {
  return `${entityType}\0${entityId}`;
}

function keep(map: Map<number, OutboxEntry>, entry: OutboxEntry, isIn: boolean): void {
  if (isIn) map.set(entry.mutation.sequence, entry);
  else map.delete(entry.mutation.sequence);
}

function keepIn(
  maps: Map<string, Map<number, OutboxEntry>>,
  key: string,
  entry: OutboxEntry,
  isIn: boolean,
): void {
  const known = maps.get(key);
  if (!known && !isIn) return;
  const map = known ?? new Map<number, OutboxEntry>();
  keep(map, entry, isIn);
  if (map.size === 0) maps.delete(key);
  else if (!known) maps.set(key, map);
}
