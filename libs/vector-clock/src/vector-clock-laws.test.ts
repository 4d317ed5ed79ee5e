/**
 * The laws of F06 as properties: a partial order, its least upper bound, strictly growing increments, one
 * text.
 */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  EMPTY_CLOCK,
  canonicalClockJson,
  clockSize,
  compareClocks,
  compareCodePoints,
  containsClock,
  containsDot,
  counterOf,
  incrementClock,
  mergeClocks,
  parseClock,
} from './index.ts';
import type { VectorClock } from './index.ts';

// Few ids and small counters, so that equal, ordered and concurrent clocks all come up; odd ids and zeros
// among them.
const replicaId = fc.constantFrom('d:1', 'd:2', 's:x', 'd:__proto__', 'd:\u{1f600}', 'd:\uffff');
const clock: fc.Arbitrary<VectorClock> = fc.dictionary(replicaId, fc.nat({ max: 3 }), {
  noNullPrototype: true,
});
const anyClock: fc.Arbitrary<VectorClock> = fc.dictionary(
  fc
    .tuple(fc.constantFrom('d:', 's:'), fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }))
    .map(([prefix, id]) => prefix + id)
    .filter((id) => !/\p{Cc}/u.test(id)),
  fc.oneof(fc.nat({ max: 3 }), fc.maxSafeNat()),
  { noNullPrototype: true },
);

const same = (a: VectorClock, b: VectorClock): boolean => compareClocks(a, b) === 'equal';
const below = (a: VectorClock, b: VectorClock): boolean => containsClock(b, a);
const holds = (...laws: boolean[]): void => {
  expect(laws.every(Boolean)).toBe(true);
};

describe('compareClocks is a partial order', () => {
  it('is reflexive', () => {
    fc.assert(fc.property(anyClock, (a) => holds(same(a, { ...a }), below(a, a))));
  });

  it('is antisymmetric: each below the other means equal texts', () => {
    fc.assert(
      fc.property(clock, clock, (a, b) => {
        holds((below(a, b) && below(b, a)) === (canonicalClockJson(a) === canonicalClockJson(b)));
      }),
    );
  });

  it('is transitive', () => {
    fc.assert(
      fc.property(clock, clock, clock, (a, b, c) => holds(!below(a, b) || !below(b, c) || below(a, c))),
    );
  });

  it('swaps before and after when its arguments are swapped', () => {
    const mirrored = { before: 'after', after: 'before', equal: 'equal', concurrent: 'concurrent' } as const;
    fc.assert(
      fc.property(clock, clock, (a, b) => {
        expect(compareClocks(b, a)).toBe(mirrored[compareClocks(a, b)]);
      }),
    );
  });

  it('says what the counters say, replica by replica', () => {
    fc.assert(
      fc.property(clock, clock, (a, b) => {
        const ids = [...Object.keys(a), ...Object.keys(b)];
        const less = ids.some((id) => counterOf(a, id) < counterOf(b, id));
        const more = ids.some((id) => counterOf(a, id) > counterOf(b, id));
        const expected = less ? (more ? 'concurrent' : 'before') : more ? 'after' : 'equal';
        expect(compareClocks(a, b)).toBe(expected);
      }),
    );
  });
});

describe('mergeClocks is the join of that order', () => {
  it('is commutative, associative and idempotent, with the empty clock as its unit', () => {
    fc.assert(
      fc.property(anyClock, anyClock, anyClock, (a, b, c) => {
        holds(
          same(mergeClocks(a, b), mergeClocks(b, a)),
          same(mergeClocks(mergeClocks(a, b), c), mergeClocks(a, mergeClocks(b, c))),
          same(mergeClocks(a, a), a),
          same(mergeClocks(a, EMPTY_CLOCK), a),
        );
      }),
    );
  });

  it('is the least upper bound', () => {
    fc.assert(
      fc.property(clock, clock, clock, (a, b, upper) => {
        const join = mergeClocks(a, b);
        holds(below(a, join), below(b, join));
        // `upper` is made an upper bound, so that the implication is never empty.
        holds(below(join, mergeClocks(upper, mergeClocks(a, b))));
        holds(!(below(a, upper) && below(b, upper)) || below(join, upper));
      }),
    );
  });

  it('contains exactly the dots of both', () => {
    fc.assert(
      fc.property(clock, clock, replicaId, fc.integer({ min: 1, max: 4 }), (a, b, id, counter) => {
        const both = containsDot(a, id, counter) || containsDot(b, id, counter);
        expect(containsDot(mergeClocks(a, b), id, counter)).toBe(both);
      }),
    );
  });

  it('changes neither argument and keeps no zero entry', () => {
    fc.assert(
      fc.property(clock, clock, (a, b) => {
        const merged = mergeClocks(Object.freeze({ ...a }), Object.freeze({ ...b }));
        expect(Object.values(merged)).not.toContain(0);
        expect(clockSize(merged)).toBe(Object.keys(merged).length);
      }),
    );
  });
});

describe('incrementClock', () => {
  it('gives the least clock after the given one that has the next dot', () => {
    fc.assert(
      fc.property(clock, replicaId, (a, id) => {
        const next = incrementClock(Object.freeze({ ...a }), id);
        const dot = counterOf(a, id) + 1;
        expect(compareClocks(a, next)).toBe('before');
        expect(counterOf(next, id)).toBe(dot);
        holds(!containsDot(a, id, dot), containsDot(next, id, dot), !containsDot(next, id, dot + 1));
        holds(same(next, mergeClocks(a, { [id]: dot })));
      }),
    );
  });

  it('of two replicas from one clock gives concurrent clocks', () => {
    fc.assert(
      fc.property(clock, replicaId, replicaId, (a, first, second) => {
        fc.pre(first !== second);
        expect(compareClocks(incrementClock(a, first), incrementClock(a, second))).toBe('concurrent');
      }),
    );
  });
});

describe('canonicalClockJson', () => {
  it('is equal exactly for equal clocks', () => {
    fc.assert(
      fc.property(clock, clock, (a, b) => {
        expect(canonicalClockJson(a) === canonicalClockJson(b)).toBe(same(a, b));
      }),
    );
  });

  it('parses back to an equal clock with the same text', () => {
    fc.assert(
      fc.property(anyClock, (a) => {
        const parsed = parseClock(JSON.parse(canonicalClockJson(a)));
        expect(parsed.ok && canonicalClockJson(parsed.clock)).toBe(canonicalClockJson(a));
        expect(parsed.ok && same(parsed.clock, a)).toBe(true);
      }),
    );
  });

  it('does not depend on the order of entries', () => {
    fc.assert(
      fc.property(anyClock, (a) => {
        const reversed = Object.fromEntries(Object.entries(a).reverse());
        expect(canonicalClockJson(reversed)).toBe(canonicalClockJson(a));
      }),
    );
  });
});

describe('compareCodePoints', () => {
  // UTF-32 code points, compared as arrays: slow and obviously right. Any UTF-16 text, lone surrogates too.
  const text = fc
    .array(fc.constantFrom('a', 'b', '\ud7ff', '\ue000', '\uffff', '\ud800', '\udc00', '\ud83d', '\ude00'))
    .map((units) => units.join(''));
  const byCodePoints = (a: string, b: string): number => {
    const left = Array.from(a, (character) => character.codePointAt(0) ?? 0);
    const right = Array.from(b, (character) => character.codePointAt(0) ?? 0);
    const index = left.findIndex((point, at) => point !== right[at]);
    if (index === -1) return left.length - right.length;
    return index >= right.length ? 1 : (left[index] ?? 0) - (right[index] ?? 0);
  };

  it('orders as the code points do', () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(Math.sign(compareCodePoints(a, b))).toBe(Math.sign(byCodePoints(a, b)));
      }),
    );
  });

  it('orders well-formed text as UTF-8 bytes do, which is what databases and other languages compare', () => {
    const wellFormed = fc.string({ unit: 'binary', maxLength: 4 });
    fc.assert(
      fc.property(wellFormed, wellFormed, (a, b) => {
        const bytes = Math.sign(Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8')));
        expect(Math.sign(compareCodePoints(a, b))).toBe(bytes);
      }),
    );
  });
});
