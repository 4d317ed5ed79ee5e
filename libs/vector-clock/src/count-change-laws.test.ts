/**
 * A class of 300 devices changes one entity for years: what a device had seen is known exactly, whatever it
 * remembers and however it counts.
 */
import { describe, expect, it } from '@jest/globals';
import {
  FOLDED_REPLICA,
  MAX_COUNTED_ENTRIES,
  clockSize,
  containsClock,
  countChange,
  counterOf,
  dotIn,
  hasSeenDot,
  mergeClocks,
} from './index.ts';
import type { ChangeDot, VectorClock } from './index.ts';

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Change {
  readonly author: string;
  readonly dot: ChangeDot;
}

interface Mutation {
  readonly base: VectorClock;
  readonly counter: number;
  /** How many changes of the entity the device had pulled when it wrote this. */
  readonly pulled: number;
}

/** A device, in the four ways in which clients are written. */
class Device {
  readonly replicaId: string;
  /** It carries all that its own clocks ever said into the next one, instead of taking what it has pulled. */
  readonly #merges: boolean;
  /** It counts on from what it has pulled, instead of remembering its counter. */
  readonly #restarts: boolean;
  readonly outbox: Mutation[] = [];
  #held: VectorClock = {};
  #pulled = 0;
  #own = 0;
  #last: VectorClock = {};

  constructor(index: number) {
    this.replicaId = `d:${index}`;
    this.#merges = index % 2 === 0;
    this.#restarts = index % 4 < 2;
  }

  pull(clock: VectorClock, changes: number): void {
    this.#held = clock;
    this.#pulled = changes;
    const counted = counterOf(clock, this.replicaId);
    if (this.outbox.length === 0 && this.#restarts) this.#own = counted;
    this.#own = Math.max(this.#own, counted);
  }

  write(): void {
    const known = this.#merges ? mergeClocks(this.#held, this.#last) : this.#held;
    const base = { ...known, [this.replicaId]: this.#own };
    this.#own += 1;
    this.outbox.push({ base, counter: this.#own, pulled: this.#pulled });
    this.#last = mergeClocks(base, { [this.replicaId]: this.#own });
  }
}

class Entity {
  clock: VectorClock = { 's:x': 1 };
  folds = 0;
  readonly changes: Change[] = [{ author: 's:x', dot: dotIn({}, 's:x', 1) }];

  count(replicaId: string, counter?: number): void {
    const before = clockSize(this.clock);
    this.clock = countChange(this.clock, replicaId, counter);
    if (clockSize(this.clock) < before) this.folds += 1;
    const dot = dotIn(this.clock, replicaId, counterOf(this.clock, replicaId));
    this.changes.push({ author: replicaId, dot });
  }

  /** What is wrong with what its base says that the device had seen of the latest changes. */
  faultsOf(device: Device, { base, pulled }: Mutation): string[] {
    const from = Math.max(0, this.changes.length - 200);
    const latest = this.changes.slice(from);
    const truth = (index: number, { author }: Change): boolean =>
      index < pulled || author === device.replicaId;
    const faults = latest.flatMap((change, at) => {
      const says = hasSeenDot(base, change.dot, device.replicaId);
      return says === truth(from + at, change) ? [] : [`change ${from + at}: seen ${says}`];
    });
    const unseen = latest.some((change, at) => !truth(from + at, change));
    return containsClock(base, this.clock) && unseen ? [...faults, 'clean'] : faults;
  }
}

describe('an entity that is changed by more devices than a clock has entries', () => {
  it.each([1, 2])('knows exactly what each had seen (seed %i)', (seed) => {
    const random = randomOf(seed);
    const devices = Array.from({ length: 300 }, (_, index) => new Device(index));
    const entity = new Entity();
    const faults: string[] = [];
    for (let round = 0; round < 8_000; round += 1) {
      const device = devices[Math.floor(random() * devices.length)] as Device;
      const dice = random();
      if (dice < 0.3) device.pull(entity.clock, entity.changes.length);
      else if (dice < 0.6) device.write();
      else if (dice < 0.62) entity.count('s:x');
      else {
        for (const mutation of device.outbox.splice(0)) {
          faults.push(...entity.faultsOf(device, mutation));
          entity.count(device.replicaId, mutation.counter);
          expect(clockSize(entity.clock)).toBeLessThanOrEqual(MAX_COUNTED_ENTRIES);
        }
      }
    }
    expect(faults).toEqual([]);
    expect(entity.folds).toBeGreaterThan(1);
    expect(counterOf(entity.clock, FOLDED_REPLICA)).toBeGreaterThan(entity.folds);
  });
});
