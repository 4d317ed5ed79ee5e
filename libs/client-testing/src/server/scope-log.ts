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

interface LoggedDelta {
  readonly sequence: number;
  readonly delta: RemoteDelta;
}

/** One page of a scope, as long as it has room. */
export interface ScopePage {
  readonly deltas: readonly RemoteDelta[];
  readonly position: ScopePosition;
  readonly hasMore: boolean;
}

/**
 * The deltas of one scope in the order of commits, and its digest. Of each entity the last delta is kept:
 * whoever was behind gets the entity once, as it is now.
 */
export class ScopeLog {
  /** By entity, in the order of commits: an entity that changes goes to the end. */
  readonly #entries = new Map<string, LoggedDelta>();
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
    return this.#entries.get(keyOf(entityType, entityId))?.delta;
  }

  append(delta: RemoteDelta): void {
    const key = keyOf(delta.entityType, delta.entityId);
    const before = this.#entries.get(key)?.delta;
    this.#digest = changed(changed(this.#digest, before, -1), delta, 1);
    this.#sequence += 1;
    this.#entries.delete(key);
    this.#entries.set(key, { sequence: this.#sequence, delta });
  }

  /** From here on every cursor is one of an old epoch, and deletions before are forgotten (PULL-4). */
  loseHistory(): void {
    this.#epoch += 1;
    for (const [key, { delta }] of this.#entries) if (delta.op === 'delete') this.#entries.delete(key);
  }

  /** @param from null: from the beginning */
  read(from: ScopePosition | null, limit: number): ScopePage {
    const start = from ?? { epoch: this.#epoch, sequence: 0, floor: this.#sequence };
    const deltas: RemoteDelta[] = [];
    let { sequence } = start;
    let hasMore = false;
    for (const entry of this.#entries.values()) {
      if (entry.sequence <= start.sequence) continue;
      const isOld = entry.delta.op === 'delete' && entry.sequence <= start.floor;
      if (!isOld && deltas.length === limit) {
        hasMore = true;
        break;
      }
      if (!isOld) deltas.push(entry.delta);
      ({ sequence } = entry);
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
