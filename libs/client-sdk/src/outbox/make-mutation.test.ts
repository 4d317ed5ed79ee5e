import { describe, expect, it } from '@jest/globals';
import { findUnstorable, parseJson } from '@sync/protocol';
import fc from 'fast-check';
import { type Draft, faultOf, makeMutation } from './make-mutation.ts';

const DRAFT: Draft = {
  mutationId: '00000000-0000-4000-8000-000000000000',
  scope: 'user:u',
  entityType: 'note',
  entityId: 'a',
  op: 'put',
  data: {},
  occurredAt: '2026-01-01T00:00:00.000Z',
  schemaVersion: 1,
};

/** As the gateway reads a body. */
function isTaken(data: object): boolean {
  const text = JSON.stringify({ mutations: [{ data }] });
  const parsed = parseJson(text);
  return parsed.ok && !(parsed.suspicious && findUnstorable(parsed.value));
}

describe('what the server would refuse for its form', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('\0', '\ud83d', '\ude00', '\ud83d\ude00', '__proto__', '\\ud83d', 'constructor'),
  );
  const number = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(2 ** 53, -(2 ** 53), 1e300, 1e-320));
  const leaf = fc.oneof(text, number, fc.boolean(), fc.constant(null));
  const value = fc.letrec<{ any: unknown }>((tie) => ({
    any: fc.oneof(
      { maxDepth: 3 },
      leaf,
      fc.array(tie('any'), { maxLength: 3 }),
      fc.array(fc.tuple(text, tie('any')), { maxLength: 3 }).map((fields) => Object.fromEntries(fields)),
    ),
  })).any;

  it('is refused on the device, and nothing else is', () => {
    let refused = 0;
    fc.assert(
      fc.property(fc.dictionary(text, value, { maxKeys: 3 }), (fields) => {
        const data = JSON.parse(JSON.stringify(fields)) as Record<string, unknown>;
        const fault = faultOf({ ...DRAFT, data });
        if (fault) refused += 1;
        expect(fault === null).toBe(isTaken(data));
      }),
      { numRuns: 2_000 },
    );
    expect(refused).toBeGreaterThan(100);
  });

  it('is nested too deep, to the level', () => {
    for (let depth = 20; depth < 40; depth += 1) {
      const data = JSON.parse(`${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`) as Record<string, unknown>;
      expect([depth, faultOf({ ...DRAFT, data }) === null]).toEqual([depth, isTaken(data)]);
    }
  });

  it.each<[string, Partial<Draft>, string, string]>([
    ['half an emoji in a key', { data: { 'a\ud83d': 1 } }, 'data_invalid', 'lone surrogate'],
    ['a NUL', { data: { list: [{ text: 'a\0' }] } }, 'data_invalid', 'data/list/0/text: a NUL'],
    ['a number that JSON rounds', { data: { big: 2 ** 60 } }, 'data_invalid', 'data/big'],
    ['an id with a blank', { entityId: 'a b' }, 'data_invalid', 'id "a b"'],
    ['an empty id', { entityId: '' }, 'data_invalid', 'id ""'],
    ['a scope without a kind', { scope: 'c1' }, 'data_invalid', 'scope "c1"'],
    [
      'emojis over the limit in bytes',
      { data: { text: '\u{1f600}'.repeat(65_536) } },
      'data_too_large',
      'bytes',
    ],
    ['many dependencies', { dependsOn: Array<string>(33).fill('m') }, 'data_invalid', 'dependsOn'],
  ])('says of %s what it is', (_what, part, code, message) => {
    expect(faultOf({ ...DRAFT, ...part })).toEqual({ code, message: expect.stringContaining(message) });
  });
});

describe('the data of a mutation', () => {
  it('has each field under its own name, whatever was written before', () => {
    for (const name of ['\\', '"', '\n', '"quoted"', '\\n']) {
      const data = { written: [], [name]: 1 };
      expect(
        Object.keys(makeMutation({ ...DRAFT, data }, { sequence: 1, baseClock: {} }).data ?? {}),
      ).toEqual(['written', name]);
    }
  });
});
