import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { OwnerPushResult, PushedMutation } from '@sync/protocol';
import type { EntityDefinition } from '../index.ts';
import { mutationOf, startOwnerRig, type OwnerRig } from '../testing/owner-rig.ts';
import { answerPush } from './answer-push.ts';

/** The transaction of a batch, without the requests that bring it. */
let rig: OwnerRig;
beforeAll(async () => {
  rig = await startOwnerRig();
  await rig.owner().stop(); // its relay polls the same pool
});
afterAll(() => rig.stop());

function answer(
  mutations: readonly PushedMutation[],
  definition: EntityDefinition = rig.definitions.note,
): Promise<OwnerPushResult[]> {
  const context = {
    service: rig.service,
    definitions: new Map(),
    database: rig.test.database,
    logger: rig.log,
    now: () => new Date(),
  };
  return answerPush(context, definition, { tenantId: 'alpha', mutations: [...mutations] });
}

const applied = (count: number): unknown[] =>
  Array.from({ length: count }, () => expect.objectContaining({ status: 'applied' }));

it('waits for the database four times for 100 mutations, twice where all are new', async () => {
  const measure = async (batch: readonly PushedMutation[]): Promise<number> => {
    const before = rig.test.database.roundTrips;
    expect(await answer(batch)).toEqual(applied(batch.length));
    return rig.test.database.roundTrips - before;
  };
  const created = Array.from({ length: 100 }, () => mutationOf());
  expect(await measure(created)).toBe(2);
  const changed = created.map(({ entityId }) => mutationOf({ entityId, expectedRevision: 1 }));
  expect(await measure(changed)).toBe(4);
});

it('leaves no error unseen when a store throws at once and a statement fails as well', async () => {
  const unhandled: unknown[] = [];
  const note = (error: unknown): number => unhandled.push(error);
  process.on('unhandledRejection', note);
  const store = (): never => {
    throw new Error('the store is broken');
  };
  const broken = { ...rig.definitions.note, store };
  const taken = [mutationOf(), mutationOf()];
  expect(await answer(taken, broken)).toEqual([]);
  expect(await answer(taken)).toEqual(applied(2));
  // Taken for new, they are created a second time: that fails, beside the store.
  const again = taken.map(({ entityId }) => mutationOf({ entityId }));
  expect(await answer(again, broken)).toMatchObject(again.map(() => ({ status: 'conflict' })));
  await sleep(100);
  process.off('unhandledRejection', note);
  expect(unhandled).toEqual([]);
});

it('creates an entity whose row is there already, written by its service without a word', async () => {
  const batch = [mutationOf(), mutationOf()];
  const ids = batch.map(({ entityId }) => entityId);
  const { note } = rig.definitions;
  const { database } = rig.test;
  const row = { entityId: ids[1] ?? '', data: { text: 'untold' }, json: '{"text":"untold"}' };
  await database.inTenant('alpha', (tx) => note.store(tx, 'alpha', [row]));
  const errorsBefore = rig.log.errors.length;
  expect(await answer(batch)).toEqual(applied(2));
  const stored = await database.inTenant('alpha', (tx) => note.load(tx, 'alpha', ids));
  expect([...stored.values()]).toEqual(batch.map(({ data }) => data));
  // Found at once: nothing was taken apart, and nobody is told that the store failed.
  expect(rig.log.errors.length).toBe(errorsBefore);
});
