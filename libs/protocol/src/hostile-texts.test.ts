import { describe, expect, it } from '@jest/globals';
import { parseContentDigest, parseSignature, parseSignatureInput } from './http-signature.ts';
import * as protocol from './index.ts';
import { parseJson } from './parse-json.ts';
import { dictionaryMembers } from './structured-fields.ts';
import { HOSTILE_TEXTS, outgrowsItsInput } from './testing/index.ts';
import { Base64, Scope, Timestamp } from './scalars.ts';
import { validator } from './validate.ts';

/** Every `pattern` of every schema that the wire has. */
function patternsIn(value: unknown, found = new Set<string>(), seen = new Set<unknown>()): Set<string> {
  if (typeof value !== 'object' || value === null || seen.has(value)) return found;
  seen.add(value);
  for (const [key, inner] of Object.entries(value)) {
    if (key === 'pattern' && typeof inner === 'string') found.add(inner);
    else if (key === 'patternProperties') for (const name of Object.keys(inner as object)) found.add(name);
    patternsIn(inner, found, seen);
  }
  return found;
}

const slowOn = (read: (text: string) => unknown): string[] =>
  HOSTILE_TEXTS.filter((textOf) => outgrowsItsInput(read, textOf)).map((textOf) => textOf(20));

describe('what reads bytes of strangers takes no longer than they are long', () => {
  it.each([
    ['a dictionary field', dictionaryMembers],
    ['Signature-Input', (text: string) => parseSignatureInput(text, true)],
    ['Signature', parseSignature],
    ['Content-Digest', parseContentDigest],
    ['JSON', (text: string) => parseJson(text)],
    ['a time', validator(Timestamp)],
    ['a scope', validator(Scope)],
    ['base64', validator(Base64)],
  ])('%s', (_what, read) => {
    expect(slowOn(read)).toEqual([]);
  });

  it('every pattern of every schema', () => {
    const patterns = [...patternsIn(protocol)];
    expect(patterns.length).toBeGreaterThan(20);
    const slow = patterns.map((pattern) => {
      const expression = new RegExp(pattern);
      return [pattern, slowOn((text) => expression.test(text))] as const;
    });
    expect(slow.filter(([, texts]) => texts.length > 0)).toEqual([]);
  });

  it('which an expression that trims would not', () => {
    const trim = (text: string): string => text.replace(/^[ \t]+|[ \t]+$/g, '');
    expect(HOSTILE_TEXTS.some((textOf) => outgrowsItsInput(trim, textOf))).toBe(true);
  });
});
