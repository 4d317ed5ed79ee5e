import { expect, it } from '@jest/globals';
import type { FieldWrites as DomainWrites } from '@sync/domain';
import type { Static } from 'typebox';
import { FieldWrites } from './field-writes.ts';
import type { ReadOnly } from './read-only.ts';
import { validator } from './validate.ts';

/** `true` only when each type can stand for the other; anything else does not compile below. */
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;

const SAME_TYPE: Same<ReadOnly<Static<typeof FieldWrites>>, DomainWrites> = true;

it('field writes have the type of libs/domain, and the schema takes what that allows', () => {
  expect(SAME_TYPE).toBe(true);
  const write = { atMs: 1_000, by: 's:learning', counter: 1 };
  const writes: DomainWrites = {
    '': { ...write, deletion: write },
    text: { ...write, removedBy: write },
    colour: { ...write, folds: 2 },
  };
  expect(validator(FieldWrites)(writes)).toMatchObject({ ok: true });
});
