import { expect, it } from '@jest/globals';
import { addToDigest, entityDigestInput, subtractFromDigest } from '@sync/domain';
import type { RemoteDelta } from '@sync/protocol';
import fc from 'fast-check';
import { createHash } from 'node:crypto';
import { DigestSum, NOTHING } from './digest.ts';

const entity = fc.record({
  // Ids need not be in ASCII, and may be longer than any buffer.
  entityId: fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ minLength: 1_000, maxLength: 1_100 })),
  counter: fc.integer({ min: 1 }),
  op: fc.constantFrom('put' as const, 'put' as const, 'delete' as const),
});

function deltaOf({ entityId, counter, op }: typeof entity extends fc.Arbitrary<infer T> ? T : never) {
  const fields = { entityType: 'note', entityId, clock: { 'd:a': counter }, schemaVersion: 1 };
  return { ...fields, op, data: null, committedAt: '' } satisfies RemoteDelta;
}

function hashOf({ entityType, entityId, clock }: RemoteDelta): string {
  return createHash('sha256')
    .update(entityDigestInput(entityType, entityId, clock))
    .digest('hex');
}

it('is the sum of the hashes of what is live, as the domain has it', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ before: fc.option(entity), after: entity })), (changes) => {
      const sum = new DigestSum(NOTHING);
      let { count, hash } = NOTHING;
      for (const change of changes) {
        const [before, after] = [change.before && deltaOf(change.before), deltaOf(change.after)];
        sum.change(before, after);
        if (before && before.op !== 'delete')
          [count, hash] = [count - 1, subtractFromDigest(hash, hashOf(before))];
        if (after.op !== 'delete') [count, hash] = [count + 1, addToDigest(hash, hashOf(after))];
        expect(new DigestSum(sum.digest).digest).toEqual({ count, hash });
      }
    }),
  );
});
