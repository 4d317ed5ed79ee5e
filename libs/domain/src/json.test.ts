import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { canonicalJson, deepEqualJson, isJsonObject, readField, storableText } from './json.ts';
import type { JsonObject, JsonValue } from './json.ts';

const json = (): fc.Arbitrary<JsonValue> => fc.jsonValue() as fc.Arbitrary<JsonValue>;

describe('canonicalJson', () => {
  it.each<[JsonValue, string]>([
    [null, 'null'],
    [true, 'true'],
    [-0, '0'],
    [1e21, '1e+21'],
    [0.1, '0.1'],
    ['a"\\\n\u2028', '"a\\"\\\\\\n\u2028"'],
    ['text', '"text"'],
    [[], '[]'],
    [{}, '{}'],
    [[[], {}, [1, [2]], 3], '[[],{},[1,[2]],3]'],
    [{ b: 1, a: { d: [null], c: false } }, '{"a":{"c":false,"d":[null]},"b":1}'],
  ])('writes %j', (value, text) => {
    expect(canonicalJson(value)).toBe(text);
  });

  it('sorts keys by code point, as the clock does', () => {
    expect(canonicalJson({ '\u{1f600}': 1, '\uffff': 2, a: 3, B: 4 })).toBe(
      '{"B":4,"a":3,"\uffff":2,"\u{1f600}":1}',
    );
  });

  it('keeps __proto__ as the ordinary key it is in JSON', () => {
    const value = JSON.parse('{"__proto__":{"x":1},"a":1}') as JsonObject;
    expect(canonicalJson(value)).toBe('{"__proto__":{"x":1},"a":1}');
  });

  it('does not overflow on any depth', () => {
    const depth = 100_000;
    const nested = JSON.parse('['.repeat(depth) + ']'.repeat(depth)) as JsonValue;
    expect(canonicalJson(nested)).toHaveLength(2 * depth);
    const again = JSON.parse('['.repeat(depth) + ']'.repeat(depth)) as JsonValue;
    expect(deepEqualJson(nested, again)).toBe(true);
  });

  it.each([[NaN], [Infinity], [undefined], [1n], [Symbol('x')]])('refuses %p, which is not JSON', (value) => {
    expect(() => canonicalJson({ a: [value as unknown as JsonValue] })).toThrow(TypeError);
  });

  it('names what it refused', () => {
    expect(() => canonicalJson(NaN)).toThrow('not a JSON value: NaN');
    expect(() => canonicalJson(undefined as unknown as JsonValue)).toThrow('not a JSON value: undefined');
  });

  it('is equal exactly for deeply equal values, and parses back to one', () => {
    fc.assert(
      fc.property(json(), json(), (a, b) => {
        expect(canonicalJson(a) === canonicalJson(b)).toBe(deepEqualJson(a, b));
        expect(deepEqualJson(JSON.parse(canonicalJson(a)) as JsonValue, a)).toBe(true);
      }),
    );
  });
});

describe('deepEqualJson', () => {
  it.each<[JsonValue | undefined, JsonValue | undefined]>([
    [
      { a: 1, b: [2] },
      { b: [2], a: 1 },
    ],
    [undefined, undefined],
    [[{ a: [] }], [{ a: [] }]],
    [null, null],
  ])('holds %j and %j equal', (a, b) => {
    expect(deepEqualJson(a, b)).toBe(true);
    expect(deepEqualJson(b, a)).toBe(true);
  });

  it.each<[JsonValue | undefined, JsonValue | undefined]>([
    [{ a: 1 }, { a: 2 }],
    [{ a: 1 }, { b: 1 }],
    [{ a: 1 }, { a: 1, b: 1 }],
    [
      [1, 2],
      [2, 1],
    ],
    [[1], [1, 1]],
    [[], {}],
    [[1], { 0: 1 }],
    [null, {}],
    [null, undefined],
    [0, false],
    ['1', 1],
    [{ toString: 1 }, { a: 1 }],
  ])('holds %j and %j different', (a, b) => {
    expect(deepEqualJson(a, b)).toBe(false);
    expect(deepEqualJson(b, a)).toBe(false);
  });

  it('compares own fields only', () => {
    const proto = JSON.parse('{"__proto__":1}') as JsonObject;
    expect(deepEqualJson(proto, { toString: 1 })).toBe(false);
    expect(deepEqualJson({ toString: 1 }, proto)).toBe(false);
    expect(deepEqualJson(proto, JSON.parse('{"__proto__":1}') as JsonObject)).toBe(true);
  });
});

describe('readField', () => {
  it('finds own fields only', () => {
    expect(readField({ a: null }, 'a')).toBeNull();
    expect(readField({}, 'constructor')).toBeUndefined();
    expect(readField({}, '__proto__')).toBeUndefined();
  });
});

describe('storableText', () => {
  it('replaces what no JSON in Postgres can hold, and nothing else', () => {
    expect(storableText('a\0b\ud800c')).toBe('a\ufffdb\ufffdc');
    expect(storableText('ü 😀')).toBe('ü 😀');
  });
});

describe('isJsonObject', () => {
  it('tells objects from everything else', () => {
    expect([{}, [], null, 'x', 1, undefined].map(isJsonObject)).toEqual([
      true,
      false,
      false,
      false,
      false,
      false,
    ]);
  });
});
