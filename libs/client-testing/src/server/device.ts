/** What the server knows of one device. */
export class Device {
  readonly deviceId: string;
  readonly userId: string;
  /** The 32 bytes of its key; null for one that signs nothing. */
  readonly key: Uint8Array | null;
  isRevoked = false;
  /** Scopes that it was served. */
  readonly served = new Set<string>();
  /** Scopes whose purge it owes (GRANT-1). */
  readonly owed = new Set<string>();
  /** Of its copy of a scope: what was begun anew, purged or declared bad is not continued. */
  readonly #generations = new Map<string, number>();
  /** By scope: the last acked position. */
  readonly acked = new Map<string, { readonly epoch: number; readonly sequence: number }>();
  /** Scopes that are to be pulled anew, because their digest differed. */
  readonly mistrusted = new Set<string>();
  /** By `sequence`: the mutation that used it. */
  readonly #sequences = new Map<number, string>();
  /** The push in which it used a `sequence` again: it was restored from a backup (PUSH-18); 0: none. */
  restoredIn = 0;
  /** Pushes so far. */
  pushes = 0;
  readonly #own = new Map<string, OwnChanges>();

  constructor(deviceId: string, userId: string, key: Uint8Array | null) {
    this.deviceId = deviceId;
    this.userId = userId;
    this.key = key;
  }

  generation(scope: string): number {
    return this.#generations.get(scope) ?? 1;
  }

  /** Its copy of the scope is worth nothing any more. */
  beginAnew(scope: string): void {
    this.#generations.set(scope, this.generation(scope) + 1);
    this.acked.delete(scope);
  }

  drop(scope: string): void {
    if (!this.served.delete(scope)) return;
    this.owed.add(scope);
    this.beginAnew(scope);
  }

  /** Notes the number of a mutation that came for the first time. */
  noteSequence(sequence: number, mutationId: string): void {
    const usedBy = this.#sequences.get(sequence);
    if (usedBy !== undefined && usedBy !== mutationId) {
      this.restoredIn = this.pushes;
      // From here on it counts anew.
      for (const used of [...this.#sequences.keys()]) if (used >= sequence) this.#sequences.delete(used);
    }
    this.#sequences.set(sequence, mutationId);
  }

  /** What is known of its own changes of an entity. */
  own(entityKey: string): OwnChanges {
    const none = { answered: 0, sequence: -1, lastIn: 0, heardIn: 0, forgetsIn: 0 };
    const known = this.#own.get(entityKey) ?? none;
    this.#own.set(entityKey, known);
    return known;
  }
}

/** A device's changes of one entity; a push is named by its number. */
export interface OwnChanges {
  /** The highest counter of one that ended. */
  answered: number;
  /** The highest `sequence` of those that stand, and the last push that brought one. */
  sequence: number;
  lastIn: number;
  /** The last push of which it has acked one that met what stood. */
  heardIn: number;
  /** The push in which it counted fewer changes than there are. */
  forgetsIn: number;
}
