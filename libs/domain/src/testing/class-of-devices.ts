/**
 * Many devices that change one entity for a long time, each after its own fashion; and what each of them
 * really had seen.
 */
import { counterOf, deviceReplica, mergeClocks } from '@sync/vector-clock';
import type { VectorClock } from '@sync/vector-clock';
import type { MutationInput, MutationOp } from '../entity.ts';
import { mutationOf } from './server-model.ts';

/** A mutation that waits, and up to which revision its device had pulled the entity. */
export interface Waiting {
  readonly mutation: MutationInput;
  readonly pulled: number;
}

/**
 * One device. Two habits of clients differ: whether they carry old clocks along, and whether they remember
 * their own counter.
 */
export class ClassDevice {
  readonly deviceId: string;
  readonly outbox: Waiting[] = [];
  readonly #carries: boolean;
  readonly #remembers: boolean;
  #held: VectorClock = {};
  #carried: VectorClock = {};
  #own = 0;
  #pulled = 0;
  #written = 0;

  constructor(index: number) {
    this.deviceId = String(index);
    this.#carries = index % 2 === 0;
    this.#remembers = index % 4 < 2;
  }

  pull(clock: VectorClock, revision: number): void {
    this.#held = clock;
    this.#pulled = revision;
    const counted = counterOf(clock, deviceReplica(this.deviceId));
    const forgets = this.outbox.length === 0 && !this.#remembers;
    this.#own = forgets ? counted : Math.max(this.#own, counted);
  }

  write(op: MutationOp, field: string, atMs: number): void {
    const replica = deviceReplica(this.deviceId);
    const known = this.#carries ? mergeClocks(this.#held, this.#carried) : this.#held;
    const mutation = mutationOf({
      mutationId: `${this.deviceId}/${this.#written}`,
      deviceId: this.deviceId,
      op,
      baseClock: mergeClocks({ ...known, [replica]: this.#own }, {}),
      occurredAtMs: atMs,
      ...(op === 'merge' ? { update: 'AAA=' } : { data: { [field]: `${this.deviceId}/${this.#written}` } }),
    });
    this.#written += 1;
    this.#own += 1;
    this.#carried = mergeClocks(mutation.baseClock, { [replica]: this.#own });
    this.outbox.push({ mutation, pulled: this.#pulled });
  }
}

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
