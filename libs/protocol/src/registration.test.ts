import { describe, expect, it } from '@jest/globals';
import type { Upcaster as DomainUpcaster } from '@sync/domain';
import type { Static } from 'typebox';
import type { ReadOnly } from './read-only.ts';
import type { Upcaster } from './registration.ts';
import { EntityTypeRegistration } from './registration.ts';
import { validator } from './validate.ts';

/** `true` only when each type can stand for the other; anything else does not compile below. */
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;
const SAME_TYPE: Same<ReadOnly<Static<typeof Upcaster>>, DomainUpcaster> = true;

const check = validator(EntityTypeRegistration);
const base = {
  entityType: 'note',
  schemaVersion: 2,
  policy: 'lww',
  projection: { kind: 'declarative', fields: '*', scopes: ['user:{userId}'] },
};

describe('upcasters', () => {
  it('are the ones that libs/domain applies', () => {
    expect(SAME_TYPE).toBe(true);
  });

  it.each([
    { from: 1, steps: [] },
    { from: 1, subject: 'notes.upcast' },
    { from: 1, steps: [{ kind: 'rename', field: 'color', to: 'colour' }] },
    { from: 1, steps: [{ kind: 'move', field: 'style.color', to: 'colour' }] },
    { from: 1, steps: [{ kind: 'remove', field: 'style.color' }] },
    { from: 1, steps: [{ kind: 'default', field: 'colour', value: null }] },
    { from: 1, steps: [{ kind: 'replace', field: 'status', values: [{ from: 1, to: { a: [] } }] }] },
  ])('may be %j', (upcaster) => {
    expect(check({ ...base, upcasters: [upcaster] }).ok).toBe(true);
  });

  it.each([
    [{ steps: [] }, ''],
    [{ from: 0, steps: [] }, ''],
    [{ from: 1 }, ''],
    [{ from: 1, steps: [{ kind: 'compute', field: 'a' }] }, '/steps/0'],
    [{ from: 1, steps: [{ kind: 'rename', field: 'a.b', to: 'c' }] }, '/steps/0'],
    [{ from: 1, steps: [{ kind: 'move', field: 'a.b', to: 'c.d' }] }, '/steps/0'],
    [{ from: 1, steps: [{ kind: 'default', field: 'a' }] }, '/steps/0'],
    [{ from: 1, steps: [{ kind: 'replace', field: 'a', values: [] }] }, '/steps/0'],
  ])('may not be %j', (upcaster, path) => {
    const checked = check({ ...base, upcasters: [upcaster] });
    const paths = checked.ok ? [] : checked.faults.map((fault) => fault.path);
    expect(paths.some((found) => found.startsWith(`/upcasters/0${path}`))).toBe(true);
  });
});
