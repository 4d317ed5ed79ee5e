import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Outcome } from '@sync/protocol';
import { readPull } from '../../pull/pull-store.ts';
import { mutationOf, newAuthor, type PushRig, startPushRig } from '../testing/push-rig.ts';
import { FOREIGN_UPDATE } from '../testing/test-owner.ts';
import type { Author } from './settlement.ts';

/** `current` is never older than what the device was told. */
let rig: PushRig;
beforeAll(async () => {
  rig = await startPushRig();
});
afterAll(() => rig.stop());
beforeEach(() => {
  rig.owner.projectsAtOnce = false;
});

/** The outcomes of a pull. */
async function pulledOutcomes(author: Author): Promise<Outcome[]> {
  const rows = await readPull(rig.test.database, author, [], 1, 0);
  const texts = rows.flatMap((row) => (row.kind === 'outcomes' ? (row.items ?? []) : []));
  return JSON.parse(`[${texts.join(',')}]`) as Outcome[];
}

/**
 * The answer of a push while the read model is late. It is brought up again and again: on a busy machine a
 * single time may come before the put has reached its owner.
 */
async function whileLate<T>(push: Promise<T>): Promise<T> {
  let hasEnded = false;
  const end = (): void => void (hasEnded = true);
  push.then(end, end);
  while (!hasEnded) {
    await sleep(60);
    await rig.owner.projectAll();
  }
  return push;
}

describe('right after a put was applied', () => {
  it.each([
    ['an op of another policy', { op: 'append' as const }, 'op_not_allowed'],
    ['data that its owner refuses', { data: { text: 'forbidden' }, op: 'patch' as const }, 'forbidden'],
    ['an invalid time', { occurredAt: 'yesterday' }, 'mutation_invalid'],
  ])('shows the entity to what is refused: %s', async (_what, changes, code) => {
    const author = newAuthor();
    const put = mutationOf(author);
    await rig.push(author, [put]);
    const refused = mutationOf(author, { entityId: put.entityId, ...changes });
    const [outcome] = await whileLate(rig.push(author, [refused]));
    expect(outcome).toMatchObject({ status: 'rejected', code, current: { op: 'put', data: put.data } });
  });

  it('does so in the same push', async () => {
    const author = newAuthor();
    const put = mutationOf(author);
    const bad = mutationOf(author, { entityId: put.entityId, op: 'append' });
    expect(await whileLate(rig.push(author, [put, bad]))).toMatchObject([
      { status: 'applied' },
      { status: 'rejected', current: { op: 'put', data: put.data } },
    ]);
  });

  it('does so in the same push to what no plan has room for', async () => {
    const author = newAuthor();
    const put = mutationOf(author);
    const circle = mutationOf(author, { entityId: put.entityId, op: 'patch' });
    const other = mutationOf(author, { dependsOn: [circle.mutationId] });
    const blocked = { ...circle, dependsOn: [other.mutationId] };
    const [applied, refused] = await whileLate(rig.push(author, [put, blocked, other]));
    expect(applied).toMatchObject({ status: 'applied' });
    expect(refused).toMatchObject({ code: 'dependency_cycle', current: { op: 'put', data: put.data } });
  });

  it('shows it under a mutationId that is used, and asks to come again before that', async () => {
    const author = newAuthor();
    const put = mutationOf(author);
    await rig.push(author, [put]);
    const reused = { ...put, data: { userId: author.userId, percent: 99 } };
    await expect(rig.push(author, [reused])).rejects.toMatchObject({ code: 'unavailable' });
    await rig.owner.projectAll();
    expect(await rig.push(author, [reused])).toMatchObject([
      { status: 'rejected', code: 'mutation_id_reused', current: { op: 'put', data: put.data } },
    ]);
  });

  it('ends a refusal later while the read model is behind', async () => {
    const author = newAuthor();
    const put = mutationOf(author);
    await rig.push(author, [put]);
    const bad = mutationOf(author, { entityId: put.entityId, op: 'append' });
    expect(await rig.push(author, [bad])).toMatchObject([{ status: 'accepted' }]);
    await rig.owner.projectAll();
    await rig.dispatch(author);
    expect(await rig.waiting(author)).toMatchObject([
      { status: 'applied' },
      { status: 'rejected', code: 'op_not_allowed', current: { op: 'put', data: put.data } },
    ]);
  });

  it('ends what matches no schema later, too, with its reason', async () => {
    const author = newAuthor();
    const put = mutationOf(author);
    await rig.push(author, [put]);
    const bad = mutationOf(author, { entityId: put.entityId, occurredAt: 'yesterday' });
    expect(await rig.push(author, [bad])).toMatchObject([{ status: 'accepted' }]);
    await rig.owner.projectAll();
    await rig.dispatch(author);
    const message = expect.stringContaining('/occurredAt');
    expect((await rig.waiting(author))[1]).toMatchObject({
      ...{ status: 'rejected', code: 'mutation_invalid', message },
      current: { op: 'put', data: put.data },
    });
  });
});

describe('an outcome that comes later than one of a later change', () => {
  it.each([['pulled'], ['answered again']])('shows the entity with that change: %s', async (how) => {
    rig.owner.projectsAtOnce = true;
    const author = newAuthor();
    const put = mutationOf(author, { data: { userId: author.userId, percent: 1 } });
    const other = { ...author, deviceId: newAuthor().deviceId };
    const { entityId } = put;
    await rig.push(author, [put]);
    const merged = mutationOf(other, { entityId, op: 'patch', data: { note: 'kept' }, baseClock: {} });
    expect(await rig.push(other, [merged])).toMatchObject([{ status: 'merged' }]);
    const own = `d:${author.deviceId}`;
    const current = { clock: { [own]: 2 }, data: { percent: 2, note: 'kept' } };
    const later = async (): Promise<unknown> => {
      if (how === 'pulled') return (await pulledOutcomes(other))[0];
      return (await rig.push(other, [merged]))[0];
    };
    rig.owner.projectsAtOnce = false;
    const baseClock = { [own]: 1, [`d:${other.deviceId}`]: 1 };
    const next = { entityId, op: 'patch' as const, data: { percent: 2 }, baseClock };
    expect(await rig.push(author, [mutationOf(author, next)])).toMatchObject([{ status: 'applied' }]);
    expect(await later()).toEqual(
      how === 'pulled'
        ? undefined
        : { mutationId: merged.mutationId, status: 'accepted', scope: merged.scope },
    );
    await rig.owner.projectAll();
    expect(await later()).toMatchObject({ status: 'merged', current });
  });
});

describe('right after a merge was applied in the same push', () => {
  it('does not show a refused one the document as it was before', async () => {
    const author = newAuthor();
    const { tenantId, userId } = author;
    const entityId = `doc-${author.deviceId}`;
    await rig.owner.change(tenantId, 'document', entityId, { userId, title: 'Dosage' });
    await rig.owner.projectAll();
    const mergeOf = (update: string, own: number): object =>
      mutationOf(author, {
        ...{ entityType: 'document', entityId, op: 'merge', update, data: null },
        baseClock: { 's:learning': 1, ...(own > 0 && { [`d:${author.deviceId}`]: own }) },
      });
    const [first, second] = await rig.push(author, [mergeOf('AAAA', 0), mergeOf(FOREIGN_UPDATE, 1)]);
    expect([first?.status, second?.status]).toEqual(['applied', 'accepted']);
    await rig.owner.projectAll();
    await rig.dispatch(author);
    expect((await rig.waiting(author))[1]).toMatchObject({
      ...{ status: 'rejected', code: 'client_id_foreign' },
      current: { clock: { 's:learning': 1, [`d:${author.deviceId}`]: 1 } },
    });
  });
});

describe('an outcome that comes again after the service has changed the entity itself', () => {
  it.each([['pulled'], ['answered again']])(
    'shows it as it is now, gone when it is gone: %s',
    async (how) => {
      rig.owner.projectsAtOnce = true;
      const author = newAuthor();
      const { tenantId, userId } = author;
      const put = mutationOf(author);
      const { entityId } = put;
      await rig.push(author, [put]);
      const refused = mutationOf(author, { entityId, op: 'append' });
      expect(await rig.push(author, [refused])).toMatchObject([{ current: { op: 'put' } }]);
      const again = async (): Promise<Outcome | undefined> => {
        const outcomes = how === 'pulled' ? await pulledOutcomes(author) : await rig.push(author, [refused]);
        return outcomes.find(({ mutationId }) => mutationId === refused.mutationId);
      };
      await rig.owner.change(tenantId, 'progress', entityId, { userId, percent: 77 });
      expect(await again()).toMatchObject({ status: 'rejected', current: { data: { percent: 77 } } });
      await rig.owner.change(tenantId, 'progress', entityId, null);
      expect(await again()).toMatchObject({ status: 'rejected', current: { op: 'delete', data: null } });
    },
  );
});
