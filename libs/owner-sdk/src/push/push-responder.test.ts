import { randomUUID } from 'node:crypto';
import type { OwnerPushReply, OwnerPushResult } from '@sync/protocol';
import { replyOf } from './push-responder.ts';

describe('a reply', () => {
  const resultsOf = (results: readonly OwnerPushResult[]): OwnerPushResult[] =>
    (JSON.parse(replyOf(results).text) as OwnerPushReply).results;

  it('leaves out data of changed entities that would be too much together, and still says that they changed', () => {
    const changed = (kilobytes: number): OwnerPushResult => ({
      mutationId: randomUUID(),
      status: 'applied',
      revision: 1,
      changed: true,
      data: { text: 'x'.repeat(kilobytes * 1000) },
    });
    const bounded = resultsOf([changed(200), changed(100), changed(1)]);
    expect(bounded.map((result) => ['changed' in result, 'data' in result])).toEqual([
      [true, true],
      [true, false],
      [true, false],
    ]);
  });

  it('keeps the first results that fit a message, and at least one', () => {
    const conflictOf = (kilobytes: number): OwnerPushResult => ({
      mutationId: randomUUID(),
      status: 'conflict',
      current: { revision: 1, data: { text: 'x'.repeat(kilobytes * 1000) }, deleted: false },
    });
    expect(resultsOf([conflictOf(400), conflictOf(400), conflictOf(400)])).toHaveLength(2);
    expect(resultsOf([conflictOf(970), conflictOf(1)])).toHaveLength(1);
    expect(resultsOf([conflictOf(1), conflictOf(1)])).toHaveLength(2);
  });
});
