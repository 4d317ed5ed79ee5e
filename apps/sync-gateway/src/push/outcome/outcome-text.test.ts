import { describe, expect, it } from '@jest/globals';
import { findUnstorable } from '@sync/protocol';
import fc from 'fast-check';
import { type Prepared, prepareMutation } from '../prepare/prepare-mutation.ts';
import { outcomeText } from './outcome-text.ts';

/**
 * Names that JSON.parse reads and strict readers do not, long ones with a character at every place where one
 * may be cut.
 */
const names = fc
  .oneof(
    fc.array(fc.constantFrom('\0', '\ud800', '\udfff', '😀', 'a'), { minLength: 1, maxLength: 6 }),
    fc.tuple(fc.constantFrom('', 'a', '\ud800'), fc.constant('😀'.repeat(600))),
  )
  .map((parts) => parts.join(''));

const UUID = '00000000-0000-4000-8000-000000000001';
const GOOD = {
  mutationId: UUID,
  sequence: 1,
  scope: 'user:u1',
  entityType: 'note',
  entityId: 'n1',
  op: 'put',
  data: {},
  baseClock: {},
  occurredAt: '2026-01-01T00:00:00Z',
};

/** Everywhere in a mutation where a name or a text of the sender stands. */
const places: readonly ((name: string) => object)[] = [
  (name) => ({ data: { [name]: { inner: '\0' } } }),
  (name) => ({ data: { text: name } }),
  (name) => ({ data: { list: [{ [name]: '\ud800' }] } }),
  (name) => ({ baseClock: { [name]: 1 } }),
  (name) => ({ baseClock: { [`d:${name}`]: 1 } }),
  (name) => ({ dependsOn: [name] }),
  (name) => ({ scope: name }),
  (name) => ({ entityType: name }),
  (name) => ({ entityId: name }),
  (name) => ({ occurredAt: name }),
  (name) => ({ update: name, op: 'merge' }),
];

function prepared(change: object): Prepared {
  const moment = { userId: 'u1', deviceId: 'd1', sentAtMs: null, serverNowMs: Date.parse(GOOD.occurredAt) };
  return prepareMutation({ ...GOOD, ...change }, moment, true);
}

describe('outcomeText', () => {
  it('is read by strict readers, whatever names and texts the refused mutation had', () => {
    fc.assert(
      fc.property(names, fc.constantFrom(...places), (name, place) => {
        const { refusal } = prepared(place(name));
        const text = outcomeText(UUID, { kind: 'settled', status: 'rejected', ...refusal });
        expect(text.isWellFormed()).toBe(true);
        expect(findUnstorable(JSON.parse(text))).toBeNull();
      }),
    );
  });

  it('is read by strict readers, whatever an owner says', () => {
    fc.assert(
      fc.property(names, (message) => {
        const text = outcomeText(UUID, {
          kind: 'settled',
          status: 'rejected',
          code: 'data_invalid',
          message,
        });
        expect(findUnstorable(JSON.parse(text))).toBeNull();
      }),
    );
  });
});
