import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  canonicalJson,
  deepEqualJson,
  isJsonObject,
  readField,
  shorten,
  sortKeys,
  storableJson,
  storableJsonText,
  storableText,
} from './json.ts';
import type { JsonObject, JsonValue } from './json.ts';

const json = (): fc.Arbitrary<JsonValue> => fc.jsonValue() as fc.Arbitrary<JsonValue>;

function reversed(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(reversed);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, child]) => [key, reversed(child)] as const)
      .reverse(),
  );
}

describe('sortKeys', () => {
  it('gives values that differ in the order of their keys one text', () => {
    fc.assert(
      fc.property(json(), (value) => {
        fc.pre(!JSON.stringify(value).includes('__proto__'));
        const text = JSON.stringify(sortKeys(value));
        expect(JSON.stringify(sortKeys(reversed(value)))).toBe(text);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('sorts few keys and many', () => {
    const many = Object.fromEntries(Array.from({ length: 40 }, (_none, at) => [`f${99 - at}`, at]));
    expect(Object.keys(sortKeys(many) as object)).toEqual(Object.keys(many).sort());
    expect(JSON.stringify(sortKeys({ b: [{ d: 1, c: null }], a: 'x' }))).toBe(
      '{"a":"x","b":[{"c":null,"d":1}]}',
    );
  });
});

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

/** Texts with halves of surrogate pairs, NULs and backslashes. */
const hostile = fc
  .array(fc.constantFrom('\0', '\ud800', '\udfff', '😀', '\\', 'u0000', '\\ud800', '"', 'a'), {
    maxLength: 8,
  })
  .map((parts) => parts.join(''));

/** The value with every key and text as `storableText` makes it. */
function replaced(value: JsonValue): JsonValue {
  if (typeof value === 'string') return storableText(value);
  if (Array.isArray(value)) return (value as readonly JsonValue[]).map(replaced);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [storableText(key), replaced(item)]));
}

describe('storableJson', () => {
  it('quotes any key and text in JSON that a strict reader takes, and changes nothing else', () => {
    const { values } = fc.letrec<{ values: JsonValue }>((tie) => ({
      values: fc.oneof(
        { maxDepth: 3 },
        hostile,
        fc.integer(),
        fc.array(tie('values'), { maxLength: 3 }),
        fc.dictionary(hostile, tie('values'), { maxKeys: 3 }),
      ),
    }));
    fc.assert(
      fc.property(values, (value) => {
        const read = JSON.parse(storableJson(value)) as JsonValue;
        expect(read).toEqual(replaced(value));
      }),
    );
  });

  it('leaves both halves of a pair that somebody else escaped', () => {
    expect(storableJsonText(String.raw`"\uD83D\ude00 \uDE00 \\ud800 \u0000"`)).toBe(
      String.raw`"\uD83D\ude00 ${'\ufffd'} \\ud800 ${'\ufffd'}"`,
    );
  });
});

describe('shorten', () => {
  it('cuts at characters, never within one', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.nat(20), (text, maxLength) => {
        const cut = shorten(text, maxLength);
        expect(cut.isWellFormed()).toBe(true);
        expect(text.startsWith(cut)).toBe(true);
        expect(cut.length).toBeLessThanOrEqual(maxLength);
        expect(cut.length).toBeGreaterThanOrEqual(Math.min(text.length, maxLength - 1));
      }),
    );
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
