import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { LIMITS } from './limits.ts';
import { findUnstorable, parseJson } from './parse-json.ts';

const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

/** The depth as a plain recursive walker sees it: containers inside containers. */
function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

/** JSON texts in which brackets, quotes and escapes also stand inside strings and keys. */
const trickyText = fc.string({ unit: fc.constantFrom(...Array.from('[]{}",:\\e1\u0000u😀')), maxLength: 12 });
const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'medium', withCrossShrink: true },
    fc.oneof(trickyText, fc.integer(), fc.double(), fc.boolean(), fc.constant(null)),
    fc.array(tie('tree'), { maxLength: 4 }),
    fc.dictionary(trickyText, tie('tree'), { maxKeys: 4, noNullPrototype: true }),
  ),
}));

describe('parseJson', () => {
  it('accepts exactly the documented depth', () => {
    expect(parseJson(nested(LIMITS.jsonDepth)).ok).toBe(true);
    expect(parseJson(nested(LIMITS.jsonDepth + 1))).toMatchObject({ ok: false, code: 'limit_exceeded' });
  });

  it('measures the real depth, whatever stands in strings and keys', () => {
    fc.assert(
      fc.property(tree, fc.integer({ min: 0, max: 3 }), (value, space) => {
        const text = JSON.stringify(value, null, space);
        const depth = depthOf(JSON.parse(text));
        expect(parseJson(text, depth).ok).toBe(true);
        if (depth > 0) expect(parseJson(text, depth - 1)).toMatchObject({ code: 'limit_exceeded' });
      }),
    );
  });

  it('counts commas and opening brackets, whatever stands in strings and keys', () => {
    const valuesOf = (value: unknown): number => {
      if (typeof value !== 'object' || value === null) return 0;
      const inner = Object.values(value);
      return inner.reduce<number>((sum, one) => sum + valuesOf(one), Math.max(1, inner.length));
    };
    fc.assert(
      fc.property(tree, fc.integer({ min: 0, max: 3 }), (value, space) => {
        const text = JSON.stringify(value, null, space);
        const count = valuesOf(JSON.parse(text));
        expect(parseJson(text, 100, count).ok).toBe(true);
        if (count > 0) expect(parseJson(text, 100, count - 1)).toMatchObject({ code: 'limit_exceeded' });
      }),
    );
  });

  it('gives the value that was sent', () => {
    fc.assert(
      fc.property(tree, (value) => {
        const text = JSON.stringify(value);
        expect(parseJson(text)).toMatchObject({ ok: true, value: JSON.parse(text) as unknown });
      }),
    );
  });

  it('answers any text without throwing', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...Array.from('[]{}",:\\u00e1 tf')), maxLength: 60 }),
        (text) => {
          const parsed = parseJson(text);
          if (!parsed.ok) expect(['malformed_json', 'limit_exceeded']).toContain(parsed.code);
          else expect(JSON.parse(text)).toEqual(parsed.value);
        },
      ),
    );
  });

  it.each([
    ['nothing', ''],
    ['half a string', '"abc'],
    ['a string that ends in an escape', '"abc\\'],
    ['closed too often', '{}}'],
    ['opened again after closing too often', ']]]][[[['],
    ['a trailing comma', '[1,]'],
    ['NaN', 'NaN'],
    ['a comment', '{} // x'],
    ['a byte order mark', '\ufeff{}'],
    ['a raw control character', '"a\u0000b"'],
  ])('refuses %s', (_what, text) => {
    expect(parseJson(text)).toMatchObject({ ok: false, code: 'malformed_json' });
  });

  it('refuses a depth of 100,000 before parsing it', () => {
    expect(parseJson(nested(100_000))).toMatchObject({ ok: false, code: 'limit_exceeded' });
    expect(parseJson('{"a":'.repeat(100_000))).toMatchObject({ ok: false, code: 'limit_exceeded' });
  });

  it('calls a text suspicious whenever something in it cannot be stored', () => {
    const unstorable = fc.constantFrom(
      '"\\u0000"',
      '"\\ud800"',
      '1e400',
      '-1E+400',
      '9007199254740993',
      '123456789012345678901',
      '{"__proto__":1}',
      '{"\\u005f_proto__":{}}',
    );
    const around = fc.constantFrom('[%]', '{"a":%}', '[1,"x",{"b":[%,2]}]', '%');
    fc.assert(
      fc.property(unstorable, around, (text, frame) => {
        const parsed = parseJson(frame.replace('%', () => text));
        expect(parsed).toMatchObject({ ok: true, suspicious: true });
        expect(findUnstorable(parsed.ok ? parsed.value : null)).not.toBeNull();
      }),
    );
  });

  it('never misses what findUnstorable finds', () => {
    const anything = fc.json({ stringUnit: 'binary' });
    fc.assert(
      fc.property(
        fc.oneof(
          anything,
          tree.map((value) => JSON.stringify(value)),
        ),
        (text) => {
          const parsed = parseJson(text, 1_000);
          if (!parsed.ok) throw new Error('valid JSON was refused');
          if (findUnstorable(parsed.value) !== null) expect(parsed.suspicious).toBe(true);
        },
      ),
    );
  });

  it('does not suspect ordinary data', () => {
    const text =
      '{"id":"3f0b…é😀","percent":99.5,"big":123456789012345,"ok":true,"at":"2024-01-01T00:00:00.000Z","n":-1.25}';
    expect(parseJson(text)).toMatchObject({ ok: true, suspicious: false });
  });

  it('suspects a lone surrogate that was never bytes', () => {
    expect(parseJson('"\ud800"')).toMatchObject({ ok: true, suspicious: true });
  });
});

describe('findUnstorable', () => {
  it.each<[string, string, string | null]>([
    ['a key __proto__', '{"a":[{"__proto__":1}]}', '/a/0/__proto__'],
    ['an integer beyond 2^53 - 1', '{"n":9007199254740993}', '/n'],
    ['a negative one', '[-9007199254740993]', '/0'],
    ['infinity', '{"a/b":{"c~d":1e999}}', '/a~1b/c~0d'],
    ['a NUL', '["x\\u0000"]', '/0'],
    ['a NUL in a key', '{"x\\u0000":1}', '/x\u0000'],
    ['a lone surrogate', '{"s":"\\udfff"}', '/s'],
    ['the largest safe integer', '[9007199254740991, -9007199254740991]', null],
    ['a whole number in any notation', '[1.5e300]', '/0'],
    ['numbers with a fraction', '[1.5e-300, 0.1, -2.5]', null],
    ['true, null and an emoji', '[true, null, "😀"]', null],
  ])('reports %s', (_what, text, path) => {
    expect(findUnstorable(JSON.parse(text))?.path ?? null).toBe(path);
  });
});
