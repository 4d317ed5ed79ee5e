import { describe, expect, it } from '@jest/globals';
import { checkUpcasters } from './check-upcasters.ts';
import { planUpcast } from './upcaster.ts';
import type { Upcaster, UpcastStep } from './upcaster.ts';

const by = (from: number, ...steps: UpcastStep[]): Upcaster => ({ from, steps });
const asked = (from: number): Upcaster => ({ from, subject: 'x.upcast' });

describe('planUpcast', () => {
  const chain = [by(3), asked(2), by(4)];

  it.each<[string, readonly Upcaster[], number, number, unknown]>([
    ['nothing for the registered version', [], 2, 2, { ok: true, chain: [] }],
    ['the whole way in order', chain, 2, 5, { ok: true, chain: [asked(2), by(3), by(4)] }],
    ['the rest of the way', chain, 4, 5, { ok: true, chain: [by(4)] }],
    ['no version older than the chain', chain, 1, 5, { ok: false, missing: 1 }],
    ['no version beyond the registered one', chain, 6, 5, { ok: false, missing: 6 }],
    ['a gap by its first version', [by(1), by(3)], 1, 4, { ok: false, missing: 2 }],
    ['nothing where nothing lifts', [], 1, 2, { ok: false, missing: 1 }],
  ])('finds %s', (_what, upcasters, from, to, plan) => {
    expect(planUpcast(upcasters, from, to)).toEqual(plan);
  });
});

describe('checkUpcasters', () => {
  it('accepts a chain in any order, from any version', () => {
    expect(checkUpcasters([by(3), asked(2)], 4)).toEqual([]);
    expect(checkUpcasters([], 4)).toEqual([]);
    const steps: UpcastStep[] = [
      { kind: 'rename', field: 'a', to: 'b' },
      { kind: 'move', field: 'a.b', to: 'b' },
      { kind: 'remove', field: 'a' },
      { kind: 'default', field: 'a', value: 1 },
      {
        kind: 'replace',
        field: 'a',
        values: [
          { from: 1, to: 2 },
          { from: 2, to: 2 },
        ],
      },
    ];
    expect(checkUpcasters([by(1, ...steps)], 2)).toEqual([]);
  });

  it.each<[string, readonly Upcaster[], string]>([
    ['two of one version', [by(2), by(3), asked(3)], '/2/from'],
    ['one of the registered version', [by(3), by(4)], '/1/from'],
    ['one of a later version', [by(3), by(9)], '/1/from'],
    ['a gap above', [by(3), by(1)], '/1/from'],
    ['a chain that ends too early', [by(2)], '/0/from'],
    ['both ways at once', [{ ...by(3), ...asked(3) }], '/0/subject'],
    ['a rename to itself', [by(3, { kind: 'rename', field: 'a', to: 'a' })], '/0/steps/0/to'],
    ['a move that is a rename', [by(3, { kind: 'move', field: 'a', to: 'b' })], '/0/steps/0/field'],
    [
      'one value replaced by two',
      [
        by(3, {
          kind: 'replace',
          field: 'a',
          values: [
            { from: { x: 1, y: 1 }, to: 1 },
            { from: { y: 1, x: 1 }, to: 2 },
          ],
        }),
      ],
      '/0/steps/0/values/1/from',
    ],
  ])('finds %s', (_what, upcasters, path) => {
    expect(checkUpcasters(upcasters, 4)).toEqual([{ path, message: expect.any(String) }]);
  });
});
