import { describe, expect, it } from '@jest/globals';
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { rfc8785Json } from './rfc8785.ts';

/** RFC 8785, appendix B: the bits of a double, and how it is written. */
const NUMBERS: readonly [bits: string, text: string][] = [
  ['0000000000000000', '0'],
  ['8000000000000000', '0'],
  ['0000000000000001', '5e-324'],
  ['8000000000000001', '-5e-324'],
  ['7fefffffffffffff', '1.7976931348623157e+308'],
  ['ffefffffffffffff', '-1.7976931348623157e+308'],
  ['4340000000000000', '9007199254740992'],
  ['c340000000000000', '-9007199254740992'],
  ['4430000000000000', '295147905179352830000'],
  ['44b52d02c7e14af5', '9.999999999999997e+22'],
  ['44b52d02c7e14af6', '1e+23'],
  ['44b52d02c7e14af7', '1.0000000000000001e+23'],
  ['444b1ae4d6e2ef4e', '999999999999999700000'],
  ['444b1ae4d6e2ef4f', '999999999999999900000'],
  ['444b1ae4d6e2ef50', '1e+21'],
  ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
  ['3eb0c6f7a0b5ed8d', '0.000001'],
  ['41b3de4355555553', '333333333.3333332'],
  ['41b3de4355555554', '333333333.33333325'],
  ['41b3de4355555555', '333333333.3333333'],
  ['41b3de4355555556', '333333333.3333334'],
  ['41b3de4355555557', '333333333.33333343'],
  ['becbf647612f3696', '-0.0000033333333333333333'],
  ['43143ff3c1cb0959', '1424953923781206.2'],
];

describe('rfc8785Json', () => {
  it('writes the example of RFC 8785, section 3.2.2', () => {
    const sent = String.raw`{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }`;
    expect(rfc8785Json(JSON.parse(sent))).toBe(
      String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],` +
        String.raw`"string":"€$\u000f\nA'B\"\\\\\"/"}`,
    );
  });

  it('sorts keys as in RFC 8785, section 3.2.3', () => {
    const sent = String.raw`{
      "\u20ac": "Euro Sign",
      "\r": "Carriage Return",
      "\ufb33": "Hebrew Letter Dalet With Dagesh",
      "1": "One",
      "\ud83d\ude00": "Emoji: Grinning Face",
      "\u0080": "Control",
      "\u00f6": "Latin Small Letter O With Diaeresis"
    }`;
    const values = [...rfc8785Json(JSON.parse(sent)).matchAll(/:"([A-Z][^"]*)"/g)].map(([, value]) => value);
    expect(values).toEqual([
      'Carriage Return',
      'One',
      'Control',
      'Latin Small Letter O With Diaeresis',
      'Euro Sign',
      'Emoji: Grinning Face',
      'Hebrew Letter Dalet With Dagesh',
    ]);
  });

  it.each(NUMBERS)('writes the double %s as %s (RFC 8785, appendix B)', (bits, text) => {
    expect(rfc8785Json(Buffer.from(bits, 'hex').readDoubleBE())).toBe(text);
  });

  it('puts keys that are integers where RFC 8785 has them, and keeps __proto__', () => {
    const value: unknown = JSON.parse('{"9":1,"10":2,"a":{"__proto__":3,"B":4}}');
    expect(rfc8785Json(value)).toBe('{"10":2,"9":1,"a":{"B":4,"__proto__":3}}');
  });

  it('writes what another implementation writes', () => {
    const json = fc
      .json({ stringUnit: 'binary', depthSize: 'medium' })
      .map((text): unknown => JSON.parse(text));
    fc.assert(
      fc.property(json, (value) => {
        expect(rfc8785Json(value)).toBe(canonicalize(value));
      }),
      { numRuns: 100 },
    );
  });

  it('leaves out fields that are undefined, and only these', () => {
    expect(rfc8785Json({ b: undefined, a: null })).toBe('{"a":null}');
  });

  it.each([[Number.NaN], [Number.POSITIVE_INFINITY], [undefined], [10n]])('refuses %p', (value) => {
    expect(() => rfc8785Json([value])).toThrow(TypeError);
  });
});
