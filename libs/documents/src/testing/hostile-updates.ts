import * as Y from 'yjs';
import type { SeededRandom } from './seeded-random.ts';
import { ALICE_CLIENT, BOB_CLIENT, type HostileWorld, MALLORY_CLIENT } from './hostile-world.ts';

/** Name → how such bytes are made. Each kind is drawn equally often. */
export const HOSTILE_KINDS: Readonly<
  Record<string, (world: HostileWorld, random: SeededRandom) => Uint8Array>
> = {
  /**
   * One GC struct of absurd length for somebody's clientID: 13 bytes that hide everything the victim writes
   * later.
   */
  'gc-of-any-length': (world, random) => {
    const client = random.pick([ALICE_CLIENT, BOB_CLIENT, MALLORY_CLIENT, random.below(2 ** 32)]);
    const clock = random.next() < 0.7 ? (world.head.stateVector.get(client) ?? 0) : random.below(1_000);
    // A GC struct, a gap, or deleted content behind something of Alice's.
    const struct = random.pick([[0], [10], [0x81, ...varUint(ALICE_CLIENT), random.below(9)]]);
    const length = varUint(2 ** random.below(54));
    return Uint8Array.from([1, 1, ...varUint(client), ...varUint(clock), ...struct, ...length, 0]);
  },
  /** Short V2 updates with damage: what hangs V2 decoders. */
  'v2-damaged': (world, random) => mutate(random.pick(world.honestV2), random).subarray(0, 27),
  'v2-endless': (_world, random) => endlessV2Update(2 ** (28 + random.below(7))),
  v2: (world, random) => random.pick(world.honestV2),
  'random-bytes': (_world, random) => randomBytes(random.below(64), random),
  /** Plausible headers with random bytes behind them get further into a decoder than pure noise. */
  'random-structs': (world, random) => {
    const client = random.pick([ALICE_CLIENT, MALLORY_CLIENT, random.below(2 ** 32)]);
    const clock = world.head.stateVector.get(client) ?? 0;
    const structs = 1 + random.below(3);
    const body = randomBytes(4 + random.below(30), random);
    return Uint8Array.from([1, structs, ...varUint(client), ...varUint(clock), ...body, 0]);
  },
  mutated: (world, random) => mutate(random.pick(world.honest), random),
  'mutated-twice': (world, random) => mutate(mutate(random.pick(world.honest), random), random),
  /** Two halves of honest updates. */
  spliced: (world, random) => {
    const [first, second] = [random.pick(world.honest), random.pick(world.honest)];
    const cut = random.below(first.length);
    return concat(first.subarray(0, cut), second.subarray(random.below(second.length)));
  },
  'gap-or-repetition': (world, random) => random.pick(random.next() < 0.5 ? world.history : world.honest),
  /** A well-formed edit under the clientID of somebody else. */
  impersonation: (world, random) => {
    const doc = new Y.Doc({ gc: false });
    Y.applyUpdate(doc, world.state);
    doc.clientID = random.pick([ALICE_CLIENT, BOB_CLIENT, 2 ** 32 + 5, 2 ** 33 + 5, 2 ** 40]);
    const before = Y.encodeStateVector(doc);
    doc.getText('body').insert(random.below(doc.getText('body').length), 'not mine');
    return Y.encodeStateAsUpdate(doc, before);
  },
  /** Other content under clocks of one's own that are in the document already. */
  'rewritten-history': (_world, random) => {
    const doc = new Y.Doc({ gc: false });
    doc.clientID = random.pick([MALLORY_CLIENT, ALICE_CLIENT]);
    for (let words = 1 + random.below(8); words > 0; words -= 1) doc.getText('body').insert(0, 'forged ');
    return Y.encodeStateAsUpdate(doc);
  },
};

/** A case of the seeded sequence: its kind and its bytes. */
export function hostileUpdate(
  world: HostileWorld,
  random: SeededRandom,
): { readonly kind: string; readonly update: Uint8Array } {
  const kind = random.pick(Object.keys(HOSTILE_KINDS));
  const make = HOSTILE_KINDS[kind];
  if (!make) throw new RangeError(kind);
  return { kind, update: make(world, random) };
}

/**
 * 27 bytes (up to 2^34 structs) that keep `Y.mergeUpdatesV2` busy for days: V2 stores repetitions as counts,
 * so one GC struct and two counts announce as many structs as one likes.
 */
export function endlessV2Update(structs = 2 ** 34): Uint8Array {
  const count = varUint(structs);
  const clientIds = [1, 1];
  const gcForEver = [1, 0];
  const noStrings = [1, 0];
  const lengths = [count.length + 1, 0x41, ...count];
  return Uint8Array.from([
    ...[0, 0],
    ...clientIds,
    ...[0, 0],
    ...gcForEver,
    ...noStrings,
    ...[0, 0],
    ...lengths,
    ...[1, ...count, 0],
    0,
  ]);
}

/** lib0's variable-length number. */
export function varUint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push(0x80 | (rest % 128));
  return [...bytes, rest];
}

function randomBytes(length: number, random: SeededRandom): Uint8Array {
  return Uint8Array.from({ length }, () => (random.next() < 0.5 ? random.below(16) : random.below(256)));
}

function concat(first: Uint8Array, second: Uint8Array): Uint8Array {
  return Uint8Array.from([...first, ...second]);
}

function mutate(bytes: Uint8Array, random: SeededRandom): Uint8Array {
  const at = random.below(bytes.length);
  const copy = Uint8Array.from(bytes);
  switch (random.below(5)) {
    case 0:
      copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8));
      return copy;
    case 1:
      copy[at] = random.below(256);
      return copy;
    case 2:
      return bytes.slice(0, at);
    case 3:
      return concat(
        bytes.subarray(0, at),
        concat(randomBytes(1 + random.below(6), random), bytes.subarray(at)),
      );
    default:
      return concat(bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + 1 + random.below(4))));
  }
}
