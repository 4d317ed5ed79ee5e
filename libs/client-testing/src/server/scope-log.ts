import { EMPTY_DIGEST, addToDigest, entityDigestInput, subtractFromDigest } from '@sync/domain';
import type { Digest, RemoteDelta } from '@sync/protocol';
import { sha256Hex } from './hashes.ts';

/** Where a device stands in a scope. */
export interface ScopePosition {
  readonly epoch: number;
  readonly sequence: number;
  /** While a full resync is paged: where it began; deletions before it need not be told. Else 0. */
  readonly floor: number;
}

interface LastDelta {
  readonly delta: RemoteDelta;
  /** Where the log has the entity: one place, or of a document the whole and each increment after it. */
  readonly sequences: readonly number[];
}

/** One page of a scope, as long as it has room. */
export interface ScopePage {
  readonly deltas: readonly RemoteDelta[];
  readonly position: ScopePosition;
  readonly hasMore: boolean;
}

/**
 * The deltas of one scope in the order of commits, and its digest. Of each entity the last delta is kept:
 * whoever was behind gets the entity once, as it is now. Of a document each increment is kept (PULL-18).
 */
export class ScopeLog {
  /** By sequence, in the order of commits: an entity that changes goes to the end. */
  readonly #log = new Map<number, RemoteDelta>();
  /** By entity. */
  readonly #last = new Map<string, LastDelta>();
  #sequence = 0;
  #epoch = 1;
  #digest: Digest = { count: 0, hash: EMPTY_DIGEST };

  get digest(): Digest {
    return this.#digest;
  }

  get head(): Pick<ScopePosition, 'epoch' | 'sequence'> {
    return { epoch: this.#epoch, sequence: this.#sequence };
  }

  /** The entity as devices see it here; undefined where it never was. */
  find(entityType: string, entityId: string): RemoteDelta | undefined {
    return this.#last.get(keyOf(entityType, entityId))?.delta;
  }

  /** How many deltas whoever begins anew gets of the entity. */
  countOf(entityType: string, entityId: string): number {
    return this.#last.get(keyOf(entityType, entityId))?.sequences.length ?? 0;
  }

  /** @param isIncrement of a document, on top of what the log has of it */
  append(delta: RemoteDelta, isIncrement = false): void {
    const key = keyOf(delta.entityType, delta.entityId);
    const before = this.#last.get(key);
    this.#digest = changed(changed(this.#digest, before?.delta, -1), delta, 1);
    this.#sequence += 1;
    const stays = isIncrement ? (before?.sequences ?? []) : [];
    if (!isIncrement) for (const sequence of before?.sequences ?? []) this.#log.delete(sequence);
    this.#log.set(this.#sequence, delta);
    this.#last.set(key, { delta, sequences: [...stays, this.#sequence] });
  }

  /** From here on every cursor is one of an old epoch, and deletions before are forgotten (PULL-4). */
  loseHistory(): void {
    this.#epoch += 1;
    for (const [key, { delta, sequences }] of this.#last) {
      if (delta.op !== 'delete') continue;
      this.#last.delete(key);
      for (const sequence of sequences) this.#log.delete(sequence);
    }
  }

  /** @param from null: from the beginning */
  read(from: ScopePosition | null, limit: number): ScopePage {
    const start = from ?? { epoch: this.#epoch, sequence: 0, floor: this.#sequence };
    const deltas: RemoteDelta[] = [];
    let { sequence } = start;
    let hasMore = false;
    for (const [place, delta] of this.#log) {
      if (place <= start.sequence) continue;
      const isOld = delta.op === 'delete' && place <= start.floor;
      if (!isOld && deltas.length === limit) {
        hasMore = true;
        break;
      }
      if (!isOld) deltas.push(delta);
      sequence = place;
    }
    const reached = hasMore ? sequence : this.#sequence;
    return { deltas, hasMore, position: { ...start, sequence: reached, floor: hasMore ? start.floor : 0 } };
  }

  isOf({ epoch, sequence }: ScopePosition): boolean {
    return epoch === this.#epoch && sequence <= this.#sequence;
  }
}

/** NUL stands in no id. */
export const keyOf = (entityType: string, entityId: string): string => `${entityType}\0${entityId}`;

function changed(digest: Digest, delta: RemoteDelta | undefined, by: 1 | -1): Digest {
  if (!delta || delta.op === 'delete') return digest;
  const hash = sha256Hex(entityDigestInput(delta.entityType, delta.entityId, delta.clock));
  const count = digest.count + by;
  return { count, hash: by > 0 ? addToDigest(digest.hash, hash) : subtractFromDigest(digest.hash, hash) };
}
