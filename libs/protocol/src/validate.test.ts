import { describe, expect, it } from '@jest/globals';
import Type from 'typebox';
import { decoder, validator } from './validate.ts';

const Person = Type.Object({
  name: Type.String({ minLength: 1 }),
  age: Type.Optional(Type.Integer({ minimum: 0 })),
  role: Type.Enum(['reader', 'writer']),
  tags: Type.Optional(Type.Array(Type.String(), { maxItems: 2 })),
  counts: Type.Optional(
    Type.Record(Type.String({ pattern: '^[a-z]+$' }), Type.Integer(), { additionalProperties: false }),
  ),
});
const check = validator(Person);

function faultsOf(value: unknown): readonly { path: string; message: string }[] {
  const result = check(value);
  return result.ok ? [] : result.faults;
}

describe('validator', () => {
  it('gives back the same value when it fits', () => {
    const value = { name: 'a', role: 'reader', age: 3 };
    const result = check(value);
    expect(result.ok && result.value).toBe(value);
  });

  it('leaves unknown fields alone: the additive rule', () => {
    const value = { name: 'a', role: 'reader', later: { x: 1 } };
    expect(check(value)).toEqual({ ok: true, value });
  });

  it.each([
    ['a missing field at its own path', { role: 'reader' }, ['/name']],
    ['every missing field', {}, ['/name', '/role']],
    ['an unknown enum value', { name: 'a', role: 'owner' }, ['/role']],
    ['a wrong type', { name: 5, role: 'reader' }, ['/name']],
    ['a place in an array', { name: 'a', role: 'reader', tags: ['x', 5] }, ['/tags/1']],
    ['too many items', { name: 'a', role: 'reader', tags: ['1', '2', '3'] }, ['/tags']],
    ['a forbidden key, escaped', { name: 'a', role: 'reader', counts: { 'A/~': 1 } }, ['/counts/A~1~0']],
    ['several faults', { name: '', role: 'x', age: -1 }, ['/name', '/role', '/age']],
    ['the whole value', null, ['']],
  ])('names %s', (_what, value, paths) => {
    expect(
      faultsOf(value)
        .map(({ path }) => path)
        .sort(),
    ).toEqual([...paths].sort());
  });

  it('explains a forbidden key', () => {
    expect(faultsOf({ name: 'a', role: 'reader', counts: { A: 1 } })).toEqual([
      { path: '/counts/A', message: 'this key is not allowed' },
    ]);
  });

  it('bounds how many faults it lists and how long a path gets', () => {
    const many = faultsOf({ name: 'a', role: 'reader', tags: Array.from({ length: 500 }, () => 5) });
    expect(many.length).toBeGreaterThan(0);
    expect(many.length).toBeLessThanOrEqual(8);
    const [long] = faultsOf({ name: 'a', role: 'reader', counts: { ['A'.repeat(100_000)]: 1 } });
    expect(long?.path.length).toBeLessThanOrEqual(300);
  });
});

describe('decoder', () => {
  const decode = decoder(Type.Object({ a: Type.Object({ b: Type.Integer() }) }), 'an A');

  it('answers the same value', () => {
    const value = { a: { b: 1 }, more: true };
    expect(decode(value)).toBe(value);
  });

  it('throws a TypeError that names the first offending path', () => {
    expect(() => decode({ a: { b: 'x' } })).toThrow(TypeError);
    expect(() => decode({ a: { b: 'x' } })).toThrow(/^\/a\/b: /);
  });
});
