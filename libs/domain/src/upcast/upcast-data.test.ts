import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { MutationOp } from '../entity.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import { upcastData } from './upcast-data.ts';
import type { UpcastStep } from './upcaster.ts';

describe('upcastData', () => {
  it.each<[string, UpcastStep, MutationOp, JsonObject, JsonObject]>([
    ['rename', { kind: 'rename', field: 'a', to: 'b' }, 'put', { a: 1, c: 2 }, { b: 1, c: 2 }],
    ['rename of null', { kind: 'rename', field: 'a', to: 'b' }, 'patch', { a: null }, { b: null }],
    ['rename over a value', { kind: 'rename', field: 'a', to: 'b' }, 'put', { a: 1, b: 2 }, { b: 1 }],
    ['rename of nothing', { kind: 'rename', field: 'a', to: 'b' }, 'put', { b: 2 }, { b: 2 }],
    ['rename of an inherited name', { kind: 'rename', field: 'constructor', to: 'b' }, 'put', {}, {}],
    ['move', { kind: 'move', field: 'a.x', to: 'x' }, 'put', { a: { x: 1, y: 2 } }, { a: { y: 2 }, x: 1 }],
    ['move of the last', { kind: 'move', field: 'a.x', to: 'x' }, 'patch', { a: { x: 1 } }, { a: {}, x: 1 }],
    ['move out of a text', { kind: 'move', field: 'a.length', to: 'x' }, 'put', { a: 'xyz' }, { a: 'xyz' }],
    ['move out of a list', { kind: 'move', field: 'a.0', to: 'x' }, 'put', { a: [1] }, { a: [1] }],
    ['move onto its own root', { kind: 'move', field: 'a.a', to: 'a' }, 'put', { a: { a: 1 } }, { a: 1 }],
    ['remove', { kind: 'remove', field: 'a' }, 'patch', { a: 1, b: 2 }, { b: 2 }],
    ['remove deep', { kind: 'remove', field: 'a.b.c' }, 'put', { a: { b: { c: 1 } } }, { a: { b: {} } }],
    ['default', { kind: 'default', field: 'a', value: [1] }, 'put', {}, { a: [1] }],
    ['default in an append', { kind: 'default', field: 'a', value: 1 }, 'append', {}, { a: 1 }],
    ['default where one stands', { kind: 'default', field: 'a', value: 1 }, 'put', { a: null }, { a: null }],
    ['default in a patch', { kind: 'default', field: 'a', value: 1 }, 'patch', { b: 1 }, { b: 1 }],
    [
      'replace',
      { kind: 'replace', field: 'a', values: [{ from: { x: 1, y: 2 }, to: 'xy' }] },
      'put',
      { a: { y: 2, x: 1 } },
      { a: 'xy' },
    ],
    [
      'replace of another value',
      { kind: 'replace', field: 'a', values: [{ from: 'done', to: 'completed' }] },
      'patch',
      { a: 'do' },
      { a: 'do' },
    ],
  ])('%s', (_name, step, op, before, after) => {
    expect(upcastData(before, op, [step])).toEqual(after);
  });

  it('takes its steps one after the other', () => {
    const steps: UpcastStep[] = [
      { kind: 'rename', field: 'a', to: 'b' },
      { kind: 'rename', field: 'c', to: 'a' },
      { kind: 'default', field: 'c', value: 0 },
    ];
    expect(upcastData({ a: 1, c: 3 }, 'put', steps)).toEqual({ a: 3, b: 1, c: 0 });
  });

  it('keeps a field called __proto__ a field', () => {
    const data = JSON.parse('{"__proto__":{"x":1},"b":2}') as JsonObject;
    const lifted = upcastData(data, 'put', [{ kind: 'rename', field: 'b', to: '__proto__' }]);
    expect(Object.getOwnPropertyDescriptor(lifted, '__proto__')?.value).toBe(2);
    expect(Object.getPrototypeOf(lifted)).toBe(Object.prototype);
    const moved = upcastData(data, 'put', [{ kind: 'move', field: '__proto__.x', to: 'x' }]);
    expect(JSON.stringify(moved)).toBe('{"__proto__":{},"b":2,"x":1}');
  });
});

describe('for all data and steps', () => {
  const name = fc.constantFrom('a', 'b', 'c', '__proto__', 'constructor', 'length');
  const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join('.'));
  const value = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<JsonValue>;
  const objectOf = (item: fc.Arbitrary<JsonValue>): fc.Arbitrary<JsonObject> =>
    fc.dictionary(name, item, { maxKeys: 5, noNullPrototype: true });
  const tree = objectOf(fc.oneof(objectOf(fc.oneof(objectOf(value), value)), value));
  const step: fc.Arbitrary<UpcastStep> = fc.oneof(
    fc.record({ kind: fc.constant('rename' as const), field: name, to: name }),
    fc.record({ kind: fc.constant('move' as const), field: path, to: name }),
    fc.record({ kind: fc.constant('remove' as const), field: path }),
    fc.record({ kind: fc.constant('default' as const), field: name, value }),
    fc.record({
      kind: fc.constant('replace' as const),
      field: name,
      values: fc.array(fc.record({ from: value, to: value }), { maxLength: 3 }),
    }),
  );
  const steps = fc.array(step, { maxLength: 6 });
  const op = fc.constantFrom<MutationOp>('put', 'patch', 'append');

  it('gives a JSON object, the same every time, and leaves what it was given as it was', () => {
    fc.assert(
      fc.property(tree, op, steps, (data, kind, list) => {
        const before = JSON.stringify(data);
        const lifted = upcastData(data, kind, list);
        expect(JSON.stringify(upcastData(data, kind, list))).toBe(JSON.stringify(lifted));
        expect(JSON.stringify(JSON.parse(JSON.stringify(lifted)))).toBe(JSON.stringify(lifted));
        expect(Array.isArray(lifted)).toBe(false);
        expect(JSON.stringify(data)).toBe(before);
      }),
      { numRuns: 500 },
    );
  });

  it('lifting by two upcasters is lifting by their steps in a row', () => {
    fc.assert(
      fc.property(tree, op, steps, steps, (data, kind, first, second) => {
        const inTwo = upcastData(upcastData(data, kind, first), kind, second);
        expect(inTwo).toEqual(upcastData(data, kind, [...first, ...second]));
      }),
      { numRuns: 300 },
    );
  });

  it('touches no field that no step names', () => {
    fc.assert(
      fc.property(tree, op, steps, value, (data, kind, list, kept) => {
        const lifted = upcastData({ ...data, untouched: kept }, kind, list);
        expect(lifted['untouched']).toEqual(kept);
      }),
      { numRuns: 300 },
    );
  });

  it('makes a patch name no more than as many fields as it named, and one per move', () => {
    fc.assert(
      fc.property(tree, steps, (data, list) => {
        const moves = list.filter(({ kind }) => kind === 'move').length;
        const count = Object.keys(upcastData(data, 'patch', list)).length;
        expect(count).toBeLessThanOrEqual(Object.keys(data).length + moves);
      }),
      { numRuns: 300 },
    );
  });
});
