import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { LocalMutation, Outcome, PushedMutation } from '@sync/protocol';
import type { Author } from '../outcome/settlement.ts';
import { mutationOf, newAuthor, type PushRig, startPushRig } from '../testing/push-rig.ts';

/** What several devices push at the same time goes to its owner in one request. */
let rig: PushRig;
beforeAll(async () => {
  rig = await startPushRig({ ownerTimeoutMs: 1_000 });
});
afterAll(() => rig.stop());
beforeEach(() => {
  rig.owner.poison = 'left out';
  rig.owner.requests.length = 0;
});

function classOf(size: number): Author[] {
  const { tenantId } = newAuthor();
  return Array.from({ length: size }, () => ({ ...newAuthor(), tenantId }));
}

const devicesOf = (request: readonly PushedMutation[]): Set<string> =>
  new Set(request.map(({ deviceId }) => deviceId));

function pushAll(authors: readonly Author[], changes: Partial<LocalMutation>[] = []): Promise<Outcome[][]> {
  return Promise.all(authors.map((author, at) => rig.push(author, [mutationOf(author, changes[at])])));
}

describe('pushes of several devices at once', () => {
  it('are one request to their owner, and each gets its own outcome', async () => {
    const outcomes = await pushAll(classOf(8));
    expect(outcomes.map((own) => own.map(({ status }) => status))).toEqual(Array(8).fill(['applied']));
    expect(rig.owner.requests.flat()).toHaveLength(8);
    expect(Math.max(...rig.owner.requests.map((request) => devicesOf(request).size))).toBeGreaterThan(1);
  });

  it('are requests of their own where the owner does not say that it shares', async () => {
    const shared = rig.types.get('progress');
    if (shared) rig.types.set('progress', { ...shared, pushShares: false });
    await pushAll(classOf(4));
    if (shared) rig.types.set('progress', shared);
    expect(rig.owner.requests.map((request) => devicesOf(request).size)).toEqual([1, 1, 1, 1]);
  });

  it.each(['left out', 'error'] as const)(
    'end as they would alone beside a poisonous one: %s',
    async (how) => {
      rig.owner.poison = how;
      const changes = [{}, { data: { text: 'poison' } }, {}, {}];
      const outcomes = await pushAll(classOf(4), changes);
      expect(outcomes.map(([own]) => own?.status)).toEqual(['applied', 'accepted', 'applied', 'applied']);
    },
  );

  it('never go together where they are about one entity', async () => {
    const entityId = `one-${newAuthor().deviceId}`;
    await pushAll(classOf(4), Array(4).fill({ entityId }) as Partial<LocalMutation>[]);
    expect(rig.owner.requests.map((request) => request.length)).toEqual(rig.owner.requests.map(() => 1));
  });

  it('never go together where they have one mutationId', async () => {
    const [first, second] = classOf(2) as [Author, Author];
    const one = mutationOf(first);
    const other = { ...mutationOf(second), mutationId: one.mutationId };
    await Promise.allSettled([rig.push(first, [one]), rig.push(second, [other])]);
    expect(rig.owner.requests.map((request) => request.length)).toEqual(rig.owner.requests.map(() => 1));
  });

  it('of several tenants go in a request for each', async () => {
    const authors = [...classOf(3), ...classOf(3)];
    const outcomes = await pushAll(authors);
    expect(outcomes.map(([own]) => own?.status)).toEqual(Array(6).fill('applied'));
    const tenantOf = new Map(authors.map(({ deviceId, tenantId }) => [deviceId, tenantId]));
    for (const request of rig.owner.requests) {
      expect(new Set([...devicesOf(request)].map((device) => tenantOf.get(device))).size).toBe(1);
    }
  });
});
