import { setTimeout as sleep } from 'node:timers/promises';
import { mutationOf, startOwnerRig, type OwnerRig } from '../testing/owner-rig.ts';
import { answerPush } from './answer-push.ts';

let rig: OwnerRig;
beforeAll(async () => {
  rig = await startOwnerRig();
});
afterAll(() => rig.stop());

const noteOf = (text: string): ReturnType<typeof mutationOf> => mutationOf({ data: { userId: 'u1', text } });

const LOCK = 'SELECT FROM sync_entity WHERE entity_id = ANY ($1::text[]) FOR UPDATE';
/** Whoever is first in the queue for a locked row has this, and those behind wait for it. */
const PLACES = `SELECT FROM pg_locks WHERE locktype = 'tuple' AND relation = 'sync_entity'::regclass
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND granted = $1`;

async function placeInQueue(granted: boolean): Promise<void> {
  while ((await rig.test.database.call('test_places', PLACES, [granted])).length === 0) await sleep(20);
}

/** Locks an entity as soon as nobody else has it. */
function holdEntity(entityId: string): { locked: Promise<void>; release(): Promise<void> } {
  const [locked, released] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
  const held = rig.test.database.inTenant('alpha', async (tx) => {
    await tx.query(LOCK, [[entityId]]);
    locked.resolve(undefined);
    await released.promise;
  });
  return {
    locked: Promise.race([locked.promise, held]),
    async release() {
      released.resolve(undefined);
      await held;
    },
  };
}

describe('an entity that takes its database too long', () => {
  it('is left unanswered, in time, and the others of its batch are answered', async () => {
    const [first, slow, last] = [noteOf('first'), noteOf('takes a minute'), noteOf('last')];
    const results = await rig.push('alpha', [first, slow, last]);
    // The last may have come too late for this request; it is answered the next time.
    expect(results[0]).toMatchObject({ mutationId: first.mutationId, status: 'applied' });
    expect(results.map(({ mutationId }) => mutationId)).not.toContain(slow.mutationId);
    expect(await rig.push('alpha', [last, first])).toMatchObject([
      { status: 'applied' },
      { status: 'applied' },
    ]);
    expect(rig.log.errors.at(-1)?.message).toMatch(/^no answer/);
  });

  it('is one at which its owner fails when it is sent alone: it answers, and without it', async () => {
    expect(await rig.push('alpha', [noteOf('takes a minute')])).toEqual([]);
  });

  it('stops no push of another device: what they sent together is refused whole, and done alone', async () => {
    const [good, slow, alsoGood] = [noteOf('good'), noteOf('takes a minute'), noteOf('also good')];
    const together = rig.push('alpha', [good, slow, alsoGood], { shared: true });
    await expect(together).rejects.toMatchObject({ code: 'shared_failed' });
    for (const mutation of [good, alsoGood]) {
      expect(await rig.push('alpha', [mutation])).toMatchObject([{ status: 'applied', revision: 1 }]);
    }
  });

  it('nor is one of two changes under one id told the answer to the other', async () => {
    const first = noteOf('first');
    const second = { ...noteOf('second'), mutationId: first.mutationId };
    await expect(rig.push('alpha', [first, second], { shared: true })).rejects.toMatchObject({
      code: 'shared_failed',
    });
  });

  it('which somebody else keeps locked is none: then the owner is busy', async () => {
    const held = noteOf('held');
    await rig.push('alpha', [held]);
    await rig.test.database.inTenant('alpha', async (tx) => {
      await tx.query('SELECT FROM sync_entity WHERE entity_id = $1 FOR UPDATE', [held.entityId]);
      const next = mutationOf({ entityId: held.entityId, expectedRevision: 1 });
      await expect(rig.push('alpha', [next])).rejects.toMatchObject({ code: 'overloaded' });
    });
  });

  it('which others queue for is none either: behind the queue it is waited for twice', async () => {
    const held = noteOf('held');
    await rig.push('alpha', [held]);
    const first = holdEntity(held.entityId);
    await first.locked;
    const next = holdEntity(held.entityId);
    await placeInQueue(true);
    const change = mutationOf({ entityId: held.entityId, expectedRevision: 1 });
    const pushed = rig.push('alpha', [change]).catch((error: unknown) => error);
    await placeInQueue(false);
    // Neither wait is too long for itself; both are longer than a statement may take.
    await sleep(2_000);
    await first.release();
    const answer = await pushed;
    await next.release();
    expect(answer).toMatchObject({ code: 'overloaded' });
  });

  it('which somebody else keeps locked is left out of its batch, and the others are answered', async () => {
    const held = [noteOf('held'), noteOf('held, too')];
    await rig.push('alpha', held);
    const changes = held.map(({ entityId }) => mutationOf({ entityId, expectedRevision: 1 }));
    const others = [noteOf('other'), noteOf('last')];
    const results = await rig.test.database.inTenant('alpha', async (tx) => {
      await tx.query(LOCK, [held.map(({ entityId }) => entityId)]);
      return rig.push('alpha', [...changes, ...others]);
    });
    expect(results).toMatchObject(others.map(({ mutationId }) => ({ mutationId, status: 'applied' })));
  });

  it('is not read again for a repetition', async () => {
    const { note } = rig.definitions;
    const loads: (readonly string[])[] = [];
    const load: typeof note.load = (tx, tenantId, entityIds) => {
      loads.push(entityIds);
      return note.load(tx, tenantId, entityIds);
    };
    const context = {
      ...{ service: rig.service, definitions: new Map(), database: rig.test.database, logger: rig.log },
      now: () => new Date(),
    };
    const known = noteOf('known');
    const other = noteOf('other');
    await rig.push('alpha', [known, other]);
    const next = mutationOf({ entityId: other.entityId, expectedRevision: 1 });
    const mutations = [known, other, next];
    const results = await answerPush(context, { ...note, load }, { tenantId: 'alpha', mutations });
    expect(results.map(({ status }) => status)).toEqual(['applied', 'applied', 'applied']);
    expect(loads).toEqual([[other.entityId]]);
  });
});
