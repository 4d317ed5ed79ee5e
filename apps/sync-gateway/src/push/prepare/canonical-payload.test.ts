import { describe, expect, it } from '@jest/globals';
import { canonicalJson, type JsonObject } from '@sync/domain';
import fc from 'fast-check';
import { canonicalPayload } from './canonical-payload.ts';

/**
 * Names without the two that JavaScript itself treats differently: integers are moved to the front,
 * `__proto__` is refused earlier.
 */
const names = fc.string({ maxLength: 6 }).filter((name) => !/^\d+$/.test(name) && name !== '__proto__');
const values = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.string(),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(names, tie('value'), { maxKeys: 40 }),
  ),
})).value;

describe('canonicalPayload', () => {
  it('is the canonical JSON of the known fields', () => {
    fc.assert(
      fc.property(fc.dictionary(names, values, { maxKeys: 40 }), (data) => {
        const mutation = { op: 'put', unknown: 1, mutationId: 'm', data };
        const { text } = canonicalPayload(mutation);
        expect(text).toBe(canonicalJson({ mutationId: 'm', op: 'put', data } as JsonObject));
      }),
    );
  });

  it('does not depend on the order of keys and does depend on every value', () => {
    const one = canonicalPayload({ mutationId: 'm', data: { a: 1, b: { d: 4, c: 3 } } });
    const same = canonicalPayload({ data: { b: { c: 3, d: 4 }, a: 1 }, mutationId: 'm' });
    const other = canonicalPayload({ mutationId: 'm', data: { a: 1, b: { d: 4, c: 5 } } });
    expect(same).toEqual(one);
    expect(other).not.toEqual(one);
    expect(one.data).toBe('{"a":1,"b":{"c":3,"d":4}}');
  });

  it('shares nothing that could be changed: the value stays as it was', () => {
    const data = { b: 1, a: 2 };
    canonicalPayload({ data });
    expect(Object.keys(data)).toEqual(['b', 'a']);
  });
});
