import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Upcaster } from '@sync/domain';
import { Responder } from '@sync/messaging';
import type { ConflictSeen, LocalMutation, UpcastReply, UpcastRequest } from '@sync/protocol';
import type { Author } from '../outcome/settlement.ts';
import { mutationOf, newAuthor, type PushRig, silent, startPushRig } from '../testing/push-rig.ts';
import { FAILURES_BEFORE_GIVING_UP } from './give-up.ts';

let rig: PushRig;
let responder: Responder | undefined;
const asked: UpcastRequest[] = [];
beforeAll(async () => {
  rig = await startPushRig();
});
afterAll(() => rig.stop());
beforeEach(async () => {
  await responder?.stop();
  responder = undefined;
  rig.owner.requests.length = 0;
  asked.length = 0;
});

const SUBJECT = 'learning.upcast';
const rename: Upcaster = { from: 1, steps: [{ kind: 'rename', field: 'percentage', to: 'percent' }] };
const byOwner: Upcaster = { from: 2, subject: SUBJECT };
const defaults: Upcaster = { from: 3, steps: [{ kind: 'default', field: 'score', value: 0 }] };

/** Registers progress anew. */
function register(entityType: string, schemaVersion: number, upcasters: readonly Upcaster[]): void {
  const known = rig.types.get(entityType);
  if (!known) throw new Error(`${entityType} is not registered`);
  rig.types.set(entityType, { ...known, schemaVersion, upcasters: structuredClone(upcasters) as never });
}

/** The owner's own upcaster: doubles the percent; `throw` is left out, `no` refused. */
async function answer(): Promise<void> {
  responder = new Responder({
    nats: rig.nats,
    subject: SUBJECT,
    queue: 'q',
    logger: silent,
    handle: async (body): Promise<UpcastReply> => {
      asked.push(body as UpcastRequest);
      return {
        results: (body as UpcastRequest).mutations.flatMap(({ mutationId, data }): UpcastReply['results'] => {
          if (data['lastPage'] === 'throw') return [];
          if (data['lastPage'] === 'no') return [{ mutationId, code: 'too_old', message: '/lastPage' }];
          return [{ mutationId, data: { ...data, percent: Number(data['percent']) * 2 } }];
        }),
      };
    },
  });
  await rig.nats.flush();
}

const old = (author: Author, data: object, more: Partial<LocalMutation> = {}): LocalMutation =>
  mutationOf(author, { data: { userId: author.userId, ...data }, ...more });

describe('a mutation of an older schema version', () => {
  it('is lifted version by version, by steps and by its owner, in one request for all', async () => {
    register('progress', 4, [rename, byOwner, defaults]);
    await answer();
    const author = newAuthor();
    const outcomes = await rig.push(author, [
      old(author, { percentage: 10 }),
      old(author, { percent: 11 }, { schemaVersion: 2 }),
      old(author, { percent: 12 }, { schemaVersion: 3 }),
      old(author, { percent: 13, score: 1 }, { schemaVersion: 4 }),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(outcomes.map(() => 'applied'));
    const sent = rig.owner.requests.flat().map(({ data, schemaVersion }) => ({ ...data, schemaVersion }));
    const { userId } = author;
    expect(sent).toEqual([
      { userId, percent: 20, score: 0, schemaVersion: 4 },
      { userId, percent: 22, score: 0, schemaVersion: 4 },
      { userId, percent: 12, score: 0, schemaVersion: 4 },
      { userId, percent: 13, score: 1, schemaVersion: 4 },
    ]);
    expect(asked).toMatchObject([{ tenantId: author.tenantId, entityType: 'progress', from: 2 }]);
    expect(asked[0]?.mutations).toHaveLength(2);
  });

  it('that deletes has nothing to lift but its version', async () => {
    register('progress', 4, [rename, byOwner, defaults]);
    const author = newAuthor();
    await rig.owner.change(author.tenantId, 'progress', 'gone', { userId: author.userId, percent: 1 });
    const mutation = mutationOf(author, {
      entityId: 'gone',
      op: 'delete',
      data: null,
      baseClock: { 's:learning': 1 },
    });
    expect(await rig.push(author, [mutation])).toMatchObject([{ status: 'applied' }]);
    expect(rig.owner.requests.flat()).toMatchObject([{ data: null, schemaVersion: 4 }]);
    expect(asked).toEqual([]);
  });

  it('waits while its owner cannot be asked, holding back its lane and nothing else', async () => {
    register('progress', 4, [rename, byOwner, defaults]);
    const author = newAuthor();
    const first = old(author, { percentage: 10 });
    const behind = mutationOf(author, {
      entityId: first.entityId,
      op: 'patch',
      data: { score: 5 },
      baseClock: { [`d:${author.deviceId}`]: 1 },
      schemaVersion: 4,
    });
    const other = mutationOf(author, { schemaVersion: 4 });
    const outcomes = await rig.push(author, [first, behind, other]);
    expect(outcomes.map(({ status }) => status)).toEqual(['accepted', 'accepted', 'applied']);
    const reasons = await rig.test.database.inTenant(author.tenantId, (tx) =>
      tx.query<{ last_error: string }>(
        `SELECT last_error FROM mutation WHERE terminal_at IS NULL ORDER BY arrival`,
      ),
    );
    expect(reasons.map(({ last_error: reason }) => reason)).toEqual(['owner_unavailable', 'lane_waits']);
    await answer();
    expect(await rig.dispatch(author)).toBe(2);
    expect(await rig.waiting(author)).toMatchObject([
      { mutationId: first.mutationId, status: 'applied' },
      { mutationId: behind.mutationId, status: 'applied' },
      { mutationId: other.mutationId },
    ]);
    const entity = rig.owner.entity(author.tenantId, 'progress', first.entityId);
    expect(entity?.data).toEqual({ userId: author.userId, percent: 20, score: 5 });
  });

  it('that its upcaster chokes on waits alone, and one that it refuses is rejected with its code', async () => {
    register('progress', 4, [rename, byOwner, defaults]);
    await answer();
    const author = newAuthor();
    const outcomes = await rig.push(author, [
      old(author, { percentage: 1, lastPage: 'throw' }),
      old(author, { percentage: 2, lastPage: 'no' }),
      old(author, { percentage: 3, lastPage: 'yes' }),
    ]);
    expect(outcomes).toMatchObject([
      { status: 'accepted' },
      { status: 'rejected', code: 'too_old', message: '/lastPage', current: { op: 'delete' } },
      { status: 'applied' },
    ]);
  });

  it.each([
    ['newer than the registered one', 5, [rename, byOwner, defaults]],
    ['older than the chain', 1, [byOwner, defaults]],
    ['older, without a chain', 3, []],
  ])('is rejected when it is %s, with the version wanted', async (_what, schemaVersion, upcasters) => {
    register('progress', 4, upcasters);
    const author = newAuthor();
    expect(await rig.push(author, [mutationOf(author, { schemaVersion })])).toMatchObject([
      {
        status: 'rejected',
        code: 'schema_version_unknown',
        message: `/schemaVersion: progress cannot be read in version ${schemaVersion}; wanted is 4`,
      },
    ]);
  });

  it('is given up when its owner fails at it for ever, and kept as it was written', async () => {
    register('progress', 4, [rename, byOwner, defaults]);
    await answer();
    const author = newAuthor();
    const choked = old(author, { percentage: 1, lastPage: 'throw' });
    await rig.push(author, [choked, old(author, { percentage: 3, lastPage: 'yes' })]);
    for (let attempt = 1; attempt < FAILURES_BEFORE_GIVING_UP; attempt += 1) await rig.dispatch(author);
    await rig.test.database.inTenant(author.tenantId, (tx) =>
      tx.query(
        `UPDATE mutation SET failing_since = now() - interval '8 days' WHERE failing_since IS NOT NULL`,
      ),
    );
    expect(await rig.dispatch(author)).toBe(1);
    expect(await rig.waiting(author)).toMatchObject([
      { mutationId: choked.mutationId, status: 'rejected', code: 'owner_failed' },
      { status: 'applied' },
    ]);
    const event = (await rig.syncEvents()).find(({ deviceid, type }) => {
      return deviceid === author.deviceId && type.startsWith('sync.conflict.');
    });
    // It could be carried out in the registered version only, which nobody knows.
    expect(event?.data).toMatchObject({ status: 'auto_resolved', draft: { theirs: choked.data } });
  });

  it('goes to its owner without the digest of what was sent: that is no digest of the lifted record', async () => {
    register('statement', 2, [{ from: 1, steps: [{ kind: 'rename', field: 'word', to: 'verb' }] }]);
    const author = newAuthor();
    const appended = { entityType: 'statement', op: 'append' as const, data: { word: 'read' } };
    await rig.push(author, [mutationOf(author, { ...appended, schemaVersion: 1 })]);
    const [sent] = rig.owner.requests.flat();
    expect(sent?.data).toEqual({ verb: 'read' });
    expect(sent).not.toHaveProperty('dataDigest');
  });

  it('is recorded as it was sent, and decided on as it was lifted', async () => {
    register('note', 2, [{ from: 1, steps: [{ kind: 'rename', field: 'body', to: 'text' }] }]);
    const author = newAuthor();
    const { tenantId, userId } = author;
    await rig.owner.change(tenantId, 'note', 'n1', { userId, text: 'a' });
    await rig.owner.change(tenantId, 'note', 'n1', { userId, text: 'b' });
    const sent = { entityType: 'note', entityId: 'n1', op: 'patch' as const, data: { body: 'mine' } };
    const [outcome] = await rig.push(author, [
      mutationOf(author, { ...sent, baseClock: { 's:learning': 1 } }),
    ]);
    expect(outcome).toMatchObject({ status: 'conflict', current: { data: { text: 'b' } } });
    const event = (await rig.syncEvents()).find(({ deviceid, type }) => {
      return deviceid === author.deviceId && type === 'sync.conflict.detected.v1';
    });
    expect((event?.data as ConflictSeen).draft).toMatchObject({
      theirs: { body: 'mine' },
      theirsLifted: { text: 'mine' },
      fields: [{ field: 'text', ours: 'b', theirs: 'mine', winner: 'open' }],
    });
  });
});
