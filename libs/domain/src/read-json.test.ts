import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readJson } from './read-json.ts';

/** What an engine that remembers keys may take for one that it read before. */
const ESCAPED = ['\\', '"', '\n', '\u0007', 'a\\', 'a"', 'a\nb', '\\"', '\\n', '"a', '\\u0041', '\\u00'];
const keys = fc.oneof(
  fc.constantFrom(...ESCAPED, '__proto__', '7', 'a', '', ':', 'k0', '"k1":'),
  fc.string(),
);

describe('readJson', () => {
  it('reads each key as it was written, whatever was read before', () => {
    for (const list of [ESCAPED, ESCAPED.toReversed()]) {
      for (const key of list) {
        const text = JSON.stringify({ first: [{ only: 1, [key]: key }], [key]: 1 });
        expect(JSON.stringify(readJson(text))).toBe(text);
      }
    }
  });

  it('reads whatever was written, however it is set', () => {
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        fc.oneof(keys, fc.double({ noNaN: true }), fc.boolean(), fc.constant(null)),
        fc.array(tie('tree')),
        fc.array(fc.tuple(keys, tie('tree'))).map((entries): unknown => Object.fromEntries(entries)),
      ),
    }));
    fc.assert(
      fc.property(tree, fc.constantFrom('', ' ', '\n\t'), (value, space) => {
        const text = JSON.stringify(value, null, space);
        expect(JSON.stringify(readJson(text), null, space)).toBe(text);
      }),
    );
  });

  it('has the last of the same key, as a field of its own', () => {
    expect(JSON.stringify(readJson('{"\\"":1,"b":2,"\\u0022":3}'))).toBe('{"\\"":3,"b":2}');
    const own = readJson('{"\\u005f_proto__":{"\\n":1}}') as object;
    expect([Object.keys(own), Object.getPrototypeOf(own)]).toEqual([['__proto__'], Object.prototype]);
  });

  it('has the last of the same key, however each was written', () => {
    const text = String.raw`{"a":1,"\u0061":2,"a":3,"b\n":4}`;
    expect(JSON.stringify(readJson(text))).toBe(String.raw`{"a":3,"b\n":4}`);
  });

  it('reads as deep as the engine does', () => {
    const depth = 100_000;
    let value = readJson(`${'{"\\n":'.repeat(depth)}1${'}'.repeat(depth)}`);
    let read = 0;
    for (; typeof value === 'object'; read += 1) value = (value as { '\n': unknown })['\n'];
    expect([read, value]).toEqual([depth, 1]);
  });

  it('refuses what is no JSON', () => {
    for (const text of ['', '{"\\"":}', '{"\\x":1}', '{"\\":1}', '{"\\n":1', '{"\\n":1}}', "{'\\n':1}"]) {
      expect(() => readJson(text)).toThrow(SyntaxError);
    }
  });
});
