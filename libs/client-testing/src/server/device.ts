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
  readonly sequences = new Map<number, string>();
  /** How often it has shown that it was restored from a backup (PUSH-18). */
  restorations = 0;
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

  /** What is known of its own changes of an entity. */
  own(entityKey: string): OwnChanges {
    const known = this.#own.get(entityKey) ?? {
      answered: 0,
      sequence: -1,
      push: -1,
      remembers: 0,
      forgets: -1,
    };
    this.#own.set(entityKey, known);
    return known;
  }
}

/** A device's changes of one entity. */
export interface OwnChanges {
  /** The highest counter of one that ended. */
  answered: number;
  /** The highest `sequence` of one that stands, and the push that brought it. */
  sequence: number;
  push: number;
  /** After how many of its restorations it has acked a change that it sent since. */
  remembers: number;
  /** The push in which it counted fewer changes than there were; -1: it never did. */
  forgets: number;
}
