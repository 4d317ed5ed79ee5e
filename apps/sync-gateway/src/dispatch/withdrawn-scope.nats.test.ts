import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { request } from '@sync/messaging';
import { type LocalMutation, type OwnerPushReply, type RegisteredEntityType, subjects } from '@sync/protocol';
import type { Author } from '../push/outcome/settlement.ts';
import { mutationOf, newAuthor, type PushRig, startPushRig } from '../push/testing/push-rig.ts';

/**
 * Mutations that were accepted while their scope was held, and are carried out, or not, after it was
 * withdrawn.
 */
let rig: PushRig;
beforeAll(async () => {
  rig = await startPushRig({ ownerTimeoutMs: 300 });
  // Whose entities are shown in the course, so that only the withdrawal hides them.
  for (const [name, type] of rig.types) {
    const projection = { kind: 'declarative', fields: '*', scopes: ['course:{courseId}'] } as const;
    rig.types.set(name, { ...type, projection: { ...projection, scopes: [...projection.scopes] } });
  }
});
afterAll(() => rig.stop());
beforeEach(async () => {
  await rig.owner.stop();
  rig.owner.start();
  await rig.nats.flush();
  rig.owner.mode = 'answers';
});

const COURSE = 'course:c1';
const WRITTEN = { courseId: 'c1', lastPage: 'what was written' };

/** One mutation in a course that its author holds until then. */
async function acceptedThenWithdrawn(
  author: Author,
  change: Partial<LocalMutation>,
  owner: 'stopped' | 'silent' | 'deaf',
): Promise<LocalMutation> {
  await grant(author, true);
  if (owner === 'stopped') await rig.owner.stop();
  else rig.owner.mode = owner;
  const mutation = mutationOf(author, { scope: COURSE, data: WRITTEN, ...change });
  expect(await rig.push(author, [mutation])).toEqual([expect.objectContaining({ status: 'accepted' })]);
  await grant(author, false);
  if (owner === 'stopped') rig.owner.start();
  rig.owner.mode = 'answers';
  await rig.nats.flush();
  return mutation;
}

/** The one draft that the mutation's record was made of. */
async function draftOf({ mutationId }: LocalMutation): Promise<object | undefined> {
  const events = (await rig.syncEvents()).filter(({ type }) => type === 'sync.conflict.resolved.v1');
  const drafts = events.map(({ data }) => data as { readonly mutationId: string; readonly draft: object });
  return drafts.find((one) => one.mutationId === mutationId)?.draft;
}

describe('a mutation whose scope was withdrawn while it waited', () => {
  it.each<[string, Partial<LocalMutation>]>([
    ['put', {}],
    ['append', { entityType: 'statement', op: 'append' }],
    ['patch', { op: 'patch' }],
  ])('is refused, and what its %s wrote is kept in a record', async (_op, change) => {
    const author = newAuthor();
    const mutation = await acceptedThenWithdrawn(author, change, 'stopped');
    expect(await rig.dispatch(author)).toBe(1);
    expect(await rig.waiting(author)).toMatchObject([
      { status: 'rejected', code: 'scope_not_held', conflictId: expect.any(String), current: { data: null } },
    ]);
    expect(await draftOf(mutation)).toMatchObject({ theirs: WRITTEN, ours: null });
    // Its id is used: the same again, from wherever, is that refusal with its record.
    await grant(author, true);
    const again = await rig.push({ ...author, deviceId: `${author.deviceId}-new` }, [mutation]);
    expect(again).toEqual(await rig.waiting(author));
  });

  it('is applied if it had been', async () => {
    const author = newAuthor();
    const mutation = await acceptedThenWithdrawn(author, {}, 'silent');
    expect(await rig.dispatch(author)).toBe(1);
    expect(await rig.waiting(author)).toMatchObject([{ status: 'applied' }]);
    expect(rig.owner.applied.filter((id) => id === mutation.mutationId)).toHaveLength(1);
  });

  it('is applied if it had been, also where a crash has left no word of that', async () => {
    const author = newAuthor();
    await acceptedThenWithdrawn(author, {}, 'silent');
    await leftByCrash(author);
    expect(await rig.dispatch(author)).toBe(1);
    expect(await rig.waiting(author)).toMatchObject([{ status: 'applied' }]);
  });

  it('is applied if it had been, with all of its lane', async () => {
    const author = newAuthor();
    await grant(author, true);
    rig.owner.mode = 'silent';
    const entityId = `lane-${author.deviceId}`;
    const mutations = [0, 1, 2].map((counted) =>
      mutationOf(author, {
        ...{ scope: COURSE, entityId, data: { ...WRITTEN, counted } },
        baseClock: { [`d:${author.deviceId}`]: counted },
      }),
    );
    await rig.push(author, mutations);
    expect(rig.owner.entity(author.tenantId, 'progress', entityId)?.data).toMatchObject({ counted: 2 });
    await grant(author, false);
    rig.owner.mode = 'answers';
    await rig.dispatch(author);
    expect((await rig.waiting(author)).map(({ status }) => status)).toEqual([
      'applied',
      'applied',
      'applied',
    ]);
  });

  it.each<[string, Partial<LocalMutation>]>([
    ['lww', {}],
    ['server_authoritative', { entityType: 'enrollment' }],
    ['append_only', { entityType: 'statement', op: 'append' }],
  ])(
    'is refused when its owner never got it, and shows nothing of the %s entity',
    async (_policy, change) => {
      const author = newAuthor();
      const entityId = `e-${author.deviceId}`;
      const type = change.entityType ?? 'progress';
      const mutation = await acceptedThenWithdrawn(author, { ...change, entityId }, 'deaf');
      await rig.owner.change(author.tenantId, type, entityId, { courseId: 'c1', lastPage: 'secret' });
      expect(await rig.dispatch(author)).toBe(1);
      const waiting = await rig.waiting(author);
      expect(waiting).toMatchObject([
        {
          status: 'rejected',
          conflictId: expect.any(String),
          current: { op: 'delete', clock: {}, data: null },
        },
      ]);
      expect(JSON.stringify(waiting)).not.toContain('secret');
      const draft = await draftOf(mutation);
      expect(draft).toMatchObject({ theirs: WRITTEN, ours: null });
      expect(JSON.stringify(draft)).not.toContain('secret');
    },
  );
});

describe('an owner that can be asked without being sent the mutation', () => {
  const before = new Map<string, RegisteredEntityType>();
  beforeAll(() => {
    for (const [name, type] of rig.types) {
      before.set(name, type);
      rig.types.set(name, { ...type, pushRefuses: true });
    }
  });
  afterEach(() => {
    for (const [name, type] of before) rig.types.set(name, { ...type, pushRefuses: true });
  });
  afterAll(() => {
    for (const [name, type] of before) rig.types.set(name, type);
  });

  /** The first request, which took until now. */
  const sendLate = async ({ tenantId }: Author): Promise<OwnerPushReply> => {
    const mutations = rig.owner.requests.at(-1)?.map(({ refuse: _refuse, ...first }) => first) ?? [];
    const subject = subjects.push('learning', mutations[0]?.entityType ?? '');
    return request<OwnerPushReply>(rig.nats, subject, { tenantId, mutations }, { timeoutMs: 10_000 });
  };

  it.each<[string, Partial<LocalMutation>]>([
    ['put', {}],
    ['append', { entityType: 'statement', op: 'append' }],
  ])('carries no %s out that it never got, also when the first request comes late', async (_op, change) => {
    const author = newAuthor();
    const mutation = await acceptedThenWithdrawn(author, change, 'deaf');
    expect(await rig.dispatch(author)).toBe(1);
    expect(await rig.waiting(author)).toMatchObject([
      { status: 'rejected', code: 'scope_not_held', conflictId: expect.any(String), current: { data: null } },
    ]);
    expect(await draftOf(mutation)).toMatchObject({ theirs: WRITTEN, ours: null });
    expect(await sendLate(author)).toMatchObject({
      results: [{ status: 'rejected', code: 'scope_not_held' }],
    });
    expect(rig.owner.entity(author.tenantId, mutation.entityType, mutation.entityId)).toBeUndefined();
  });

  it.each<[string, Partial<LocalMutation>]>([
    ['put', {}],
    ['append', { entityType: 'statement', op: 'append' }],
    ['patch', { op: 'patch' }],
  ])('says that it has applied a %s', async (_op, change) => {
    const author = newAuthor();
    const mutation = await acceptedThenWithdrawn(author, change, 'silent');
    expect(await rig.dispatch(author)).toBe(1);
    expect(await rig.waiting(author)).toMatchObject([{ status: 'applied' }]);
    expect(rig.owner.applied.filter((id) => id === mutation.mutationId)).toHaveLength(1);
    expect(rig.owner.requests.at(-1)).toMatchObject([{ refuse: { code: 'scope_not_held' } }]);
  });

  it('keeps what it refused in a record, also where it said so in vain and the scope is held again', async () => {
    const author = newAuthor();
    const mutation = await acceptedThenWithdrawn(author, {}, 'deaf');
    rig.owner.mode = 'silent';
    expect(await rig.dispatch(author)).toBe(0);
    await grant(author, true);
    rig.owner.mode = 'answers';
    expect(await rig.dispatch(author)).toBe(1);
    expect(await rig.waiting(author)).toMatchObject([
      { status: 'rejected', code: 'scope_not_held', conflictId: expect.any(String) },
    ]);
    expect(await draftOf(mutation)).toMatchObject({ theirs: WRITTEN });
  });

  it('lets nothing behind what it refuses overwrite what nobody has seen', async () => {
    const author = newAuthor();
    const entityId = `e-${author.deviceId}`;
    await acceptedThenWithdrawn(author, { entityId }, 'deaf');
    const behind = mutationOf(author, {
      ...{ entityId, data: { ...WRITTEN, lastPage: 'behind' } },
      baseClock: { [`d:${author.deviceId}`]: 1 },
    });
    await rig.push(author, [behind]);
    await leftByCrash(author);
    rig.owner.projectsAtOnce = false;
    await rig.owner.change(author.tenantId, 'progress', entityId, { courseId: 'c1', lastPage: 'theirs' });
    await rig.dispatch(author);
    expect(rig.owner.applied).not.toContain(behind.mutationId);
    rig.owner.projectsAtOnce = true;
  });

  it.each<['silent' | 'deaf', object]>([
    ['silent', { status: 'applied' }],
    ['deaf', { status: 'rejected', code: 'schema_version_unknown', conflictId: expect.any(String) }],
  ])('is asked when it was %s and the version cannot be read any more', async (mode, outcome) => {
    const author = newAuthor();
    rig.owner.mode = mode;
    const mutation = mutationOf(author, { data: { ...WRITTEN, userId: author.userId }, schemaVersion: 1 });
    await rig.push(author, [mutation]);
    rig.owner.mode = 'answers';
    const type = rig.types.get('progress');
    if (type) rig.types.set('progress', { ...type, schemaVersion: 2 });
    expect(await rig.dispatch(author)).toBe(1);
    expect(await rig.waiting(author)).toMatchObject([outcome]);
  });
});

/** No word is left of what became of the device's mutations. */
async function leftByCrash({ tenantId, deviceId }: Author): Promise<void> {
  await rig.test.database.inTenant(tenantId, (tx) =>
    tx.query(`UPDATE mutation SET status = 'pending', last_error = NULL WHERE device_id = $1`, [deviceId]),
  );
}

async function grant({ tenantId, userId }: Author, granted: boolean): Promise<void> {
  await rig.test.database.inTenant(tenantId, (tx) =>
    tx.query(
      `INSERT INTO scope_grant (tenant_id, user_id, scope, source_type, source_id, granted, revision,
        ingest_partition, ingest_number)
       VALUES ($1, $2, $3, 'enrollment', 'e', $4, 1, 0, 0)
       ON CONFLICT (tenant_id, user_id, scope, source_type, source_id) DO UPDATE SET granted = excluded.granted`,
      [tenantId, userId, COURSE, granted],
    ),
  );
}
