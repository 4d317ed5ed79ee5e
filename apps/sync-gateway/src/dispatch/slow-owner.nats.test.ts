import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { LocalMutation } from '@sync/protocol';
import type { Author } from '../push/outcome/settlement.ts';
import { mutationOf, newAuthor, type PushRig, startPushRig } from '../push/testing/push-rig.ts';

const TIMEOUT_MS = 100;

let rig: PushRig;
beforeAll(async () => {
  rig = await startPushRig({ ownerTimeoutMs: TIMEOUT_MS });
});
afterAll(() => rig.stop());
afterEach(() => {
  rig.owner.slowMs = { perRequest: 0, perMutation: 0 };
  rig.owner.poison = 'left out';
  rig.owner.requests.length = 0;
});

const severalOf = (author: Author, count: number): LocalMutation[] =>
  Array.from({ length: count }, () => mutationOf(author));

/** Works off what is due, as the dispatcher does, until so many mutations have their outcome. */
async function endAll(authors: readonly Author[], count: number): Promise<void> {
  for (let ended = 0; ended < count;) {
    ended += await rig.dispatchDue(...authors);
    await sleep(TIMEOUT_MS);
  }
}

describe('an owner that is slow', () => {
  it.each([
    ['at every request, three times as long as a push waits', { perRequest: 3 * TIMEOUT_MS, perMutation: 0 }],
    ['at every mutation', { perRequest: 10, perMutation: 20 }],
  ])(
    '%s, ends all it was sent, and is not asked for each mutation by itself',
    async (_how, slowMs) => {
      const authors = Array.from({ length: 4 }, newAuthor);
      const mutations = authors.map((author) => severalOf(author, 20));
      rig.owner.slowMs = slowMs;
      const before = rig.owner.applied.length;
      const outcomes = await Promise.all(
        authors.map((author, index) => rig.push(author, mutations[index] ?? [])),
      );
      const statuses = outcomes.flat().map(({ status }) => status);
      // Of some of them an answer may come in time, where the push itself is slow.
      const applied = statuses.filter((status) => status === 'applied').length;
      expect([statuses.includes('accepted'), statuses.every((status) => status !== 'rejected')]).toEqual([
        true,
        true,
      ]);
      await endAll(authors, 80 - applied);
      // Before requests in hand counted until their answer, it was never done: 53 requests in two minutes and
      // no outcome for 200 mutations in the first case, 267 requests in the second.
      expect(rig.owner.requests.length).toBeLessThan(60);
      expect(rig.owner.applied.length - before).toBe(80);
      for (const [index, author] of authors.entries()) {
        const waiting = await rig.waiting(author);
        expect(waiting.map(({ mutationId, status }) => [mutationId, status])).toEqual(
          mutations[index]?.map(({ mutationId }) => [mutationId, 'applied']),
        );
      }
    },
    120_000,
  );
});

describe('a mutation that its owner never answers', () => {
  it('does not keep those from their outcomes that were sent with it', async () => {
    const author = newAuthor();
    const deadly = mutationOf(author, { data: { userId: author.userId, text: 'poison' } });
    const others = severalOf(author, 3);
    rig.owner.poison = 'no answer';
    await rig.push(author, [deadly, ...others]);
    await endAll([author], 3);
    const ended = new Set((await rig.waiting(author)).map(({ mutationId }) => mutationId));
    expect(ended).toEqual(new Set(others.map(({ mutationId }) => mutationId)));
  }, 60_000);
});
