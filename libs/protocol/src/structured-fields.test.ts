import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { dictionaryMembers } from './structured-fields.ts';

const read = (field: string): Record<string, string> | null => {
  const members = dictionaryMembers(field);
  return members === null ? null : Object.fromEntries(members);
};

describe('dictionaryMembers', () => {
  it('tells members apart by commas outside of strings and lists', () => {
    expect(read('a=1')).toEqual({ a: '1' });
    expect(read('sha-512=:AA==:, sha-256=:BB==:')).toEqual({ 'sha-512': ':AA==:', 'sha-256': ':BB==:' });
    expect(read('a="x, b=1",\tb=("c" "d,e");p="f,)"')).toEqual({ a: '"x, b=1"', b: '("c" "d,e");p="f,)"' });
    expect(read('a="\\", b=2", c=3')).toEqual({ a: '"\\", b=2"', c: '3' });
  });

  it('reads a member without a value as true', () => {
    expect(read('a, b;q=1')).toEqual({ a: '?1', b: '?1' });
  });

  it.each([
    ['absent', undefined],
    ['empty', ''],
    ['a trailing comma', 'a=1,'],
    ['a key with capitals', 'A=1'],
    ['no key', '=1'],
    ['an open string', 'a="x'],
    ['a string that ends in an escape', 'a="x\\'],
    ['an open list', 'a=("b"'],
    ['a key twice', 'a=1, b=2, a=1'],
    ['too long', `a="${'x'.repeat(8_192)}"`],
    ['of 33 members', Array.from({ length: 33 }, (_each, at) => `a${at}=1`).join(', ')],
  ])('refuses a field that is malformed: %s', (_fault, field) => {
    expect(dictionaryMembers(field)).toBeNull();
  });

  it('reads back what was joined, in any order', () => {
    const key = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
    const blanks = fc.stringMatching(/^[ \t]{0,3}$/);
    const value = fc.oneof(
      fc.stringMatching(/^[0-9]{1,9}$/),
      fc.stringMatching(/^:[A-Za-z0-9+/]{0,12}:$/),
      fc.stringMatching(/^"[a-z ,;()=]{0,12}"$/),
      fc.stringMatching(/^\("[a-z@-]{1,9}"( "[a-z@-]{1,9}"){0,3}\);created=[0-9]{1,9}$/),
    );
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(key, value), { minLength: 1, maxLength: 32, selector: ([name]) => name }),
        blanks,
        (members, blank) => {
          const field = members.map(([name, text]) => `${blank}${name}=${text}${blank}`).join(',');
          expect([...(dictionaryMembers(field) ?? [])]).toEqual(members);
        },
      ),
    );
  });

  it('never throws and never takes long', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...Array.from('ab=",();:\\ \t?1')), maxLength: 200 }),
        (field) => {
          const members = dictionaryMembers(field);
          expect(members === null || members.size > 0).toBe(true);
        },
      ),
    );
    expect(dictionaryMembers('('.repeat(8_000))).toBeNull();
    expect(dictionaryMembers(`a=${'"",'.repeat(2_000)}`)).toBeNull();
  });
});
