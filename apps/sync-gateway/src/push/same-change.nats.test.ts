import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { hash } from 'node:crypto';
import type { LocalMutation, Outcome } from '@sync/protocol';
import { AckStore } from '../ack/ack-store.ts';
import { type NoteRow, readPull } from '../pull/pull-store.ts';
import type { Author } from './outcome/settlement.ts';
import { canonicalPayload } from './prepare/canonical-payload.ts';
import { tagMutation } from '../testing/tag-mutation.ts';
import { mutationOf, newAuthor, type PushRig, startPushRig } from './testing/push-rig.ts';

/** What counts as one change under one mutationId, and whom a used id is closed to. */
let rig: PushRig;
beforeAll(async () => {
  rig = await startPushRig({ ownerTimeoutMs: 700 });
});
afterAll(() => rig.stop());

/** Somebody else of the tenant, with a device of their own. */
function strangerTo({ tenantId, userId }: Author): Author {
  return { tenantId, userId: `${userId}-other`, deviceId: `d-of-${userId}-other` };
}

/** The same user after a reinstall. */
function reinstalled(author: Author): Author {
  return { ...author, deviceId: `${author.deviceId}-new` };
}

const REUSED = { status: 'rejected', code: 'mutation_id_reused' };

describe('an id that was refused without effect', () => {
  it.each<[string, (author: Author) => Author]>([
    ['on a device of its own', strangerTo],
    ['on the same tablet', (author) => ({ ...strangerTo(author), deviceId: author.deviceId })],
  ])('is free for its rightful owner after a stranger’s session %s', async (_where, strangerOf) => {
    const author = newAuthor();
    const stranger = strangerOf(author);
    const queue = [mutationOf(author), mutationOf(author)];
    const refused = await rig.pushTexts(stranger, queue);
    expect(refused.map((text) => JSON.parse(text) as object)).toMatchObject([
      { status: 'rejected', code: 'scope_not_held' },
      { status: 'rejected', code: 'scope_not_held' },
    ]);
    expect(await rig.pushTexts(stranger, queue)).toEqual(refused);
    const applied = await rig.pushTexts(author, queue);
    expect(applied.map((text) => JSON.parse(text) as object)).toMatchObject([
      { status: 'applied' },
      { status: 'applied' },
    ]);
    // Each goes on seeing its own.
    expect(await rig.push(stranger, queue)).toMatchObject([
      { status: 'rejected', code: 'scope_not_held', current: { clock: {}, data: null } },
      { status: 'rejected', code: 'scope_not_held', current: { clock: {}, data: null } },
    ]);
    expect(await rig.pushTexts(author, queue)).toEqual(applied);
    for (const { mutationId } of queue) {
      expect(rig.owner.applied.filter((id) => id === mutationId)).toHaveLength(1);
    }
  });

  it('is free beside mutations of the stranger that stay open', async () => {
    const author = newAuthor();
    const stranger = strangerTo(author);
    const mutation = mutationOf(author);
    rig.owner.mode = 'deaf';
    expect(await rig.push(stranger, [mutationOf(stranger), mutation])).toMatchObject([
      { status: 'accepted' },
      { code: 'scope_not_held' },
    ]);
    rig.owner.mode = 'answers';
    expect(await rig.push(author, [mutation])).toMatchObject([{ status: 'applied' }]);
  });

  it('is judged anew for a new device of the user, when the reason is gone', async () => {
    const author = newAuthor();
    const mutation = mutationOf(author);
    const type = rig.types.get('progress');
    if (!type) throw new Error('no such type');
    rig.types.delete('progress');
    const first = await rig.pushTexts(author, [mutation]);
    expect(first).toEqual([expect.stringContaining('entity_type_unknown')]);
    rig.types.set('progress', type);
    expect(await rig.pushTexts(author, [mutation])).toEqual(first);
    expect(await rig.push(reinstalled(author), [mutation])).toMatchObject([{ status: 'applied' }]);
    // From now on that is what became of it, for each device.
    expect(await rig.push(author, [mutation])).toMatchObject([{ status: 'applied' }]);
  });

  it('takes what was mended under it', async () => {
    const author = newAuthor();
    const mutation = mutationOf(author);
    expect(await rig.push(author, [{ ...mutation, data: undefined }])).toMatchObject([
      { code: 'mutation_invalid' },
    ]);
    expect(await rig.push(author, [mutation])).toMatchObject([{ status: 'applied' }]);
  });

  it('is free after its owner has refused a stranger', async () => {
    const author = newAuthor();
    const mutation = mutationOf(author, { scope: 'course:c1', data: { text: 'forbidden' } });
    const stranger = strangerTo(author);
    await grant(author, 'course:c1');
    await grant(stranger, 'course:c1');
    expect(await rig.push(stranger, [mutation])).toMatchObject([{ status: 'rejected', code: 'forbidden' }]);
    const outcomes = await rig.push(author, [mutation]);
    expect(outcomes).toMatchObject([{ status: 'rejected', code: 'forbidden' }]);
  });
});

describe('an id that was used', () => {
  it('is told of to nobody who may not push the change at all', async () => {
    const author = newAuthor();
    const mutation = mutationOf(author);
    await rig.push(author, [mutation]);
    const stranger = strangerTo(author);
    expect(await rig.push(stranger, [mutation])).toMatchObject([{ code: 'scope_not_held' }]);
    const own = { ...mutation, scope: `user:${stranger.userId}` };
    expect(await rig.push(stranger, [own])).toMatchObject([
      { ...REUSED, current: { op: 'delete', clock: {}, data: null } },
    ]);
  });

  it.each<[string, (mutation: LocalMutation, author: Author) => object]>([
    ['data', ({ data, ...rest }) => ({ ...rest, data: { ...data, percent: 11 } })],
    ['op', (mutation) => ({ ...mutation, op: 'patch' })],
    ['entity', (mutation) => ({ ...mutation, entityId: `${mutation.entityId}-b` })],
    ['type', (mutation) => ({ ...mutation, entityType: 'note' })],
    ['moment', (mutation) => ({ ...mutation, occurredAt: '2026-01-01T00:00:00.001Z' })],
  ])('is refused for a change of another %s, from each device of the user', async (_what, change) => {
    const author = newAuthor();
    const mutation = mutationOf(author, { occurredAt: '2026-01-01T00:00:00Z' });
    const first = await rig.pushTexts(author, [mutation]);
    const other = change(mutation, author);
    expect(await rig.push(author, [other])).toMatchObject([REUSED]);
    expect(await rig.push(reinstalled(author), [other])).toMatchObject([REUSED]);
    expect(await rig.push(author, [mutation, other])).toMatchObject([{ status: 'applied' }, REUSED]);
    expect(await rig.pushTexts(author, [mutation])).toEqual(first);
  });
});

const WRITTEN = {
  occurredAt: '2026-01-01T01:30:00.250+01:00',
  baseClock: {},
  data: { b: [{ x: 1, y: 2 }], a: 1 },
};

const INNOCENT: [string, Partial<Record<keyof LocalMutation, unknown>>][] = [
  ['another sequence', { sequence: 9_999 }],
  ['dependsOn left out', { dependsOn: undefined }],
  ['dependsOn empty', { dependsOn: [] }],
  ['schemaVersion left out', { schemaVersion: undefined }],
  ['baseClock left out', { baseClock: undefined }],
  ['a baseClock with a zero', { baseClock: { 'd:other': 0 } }],
  ['a baseClock built anew', { baseClock: { 's:learning': 3 } }],
  ['the time in UTC', { occurredAt: '2026-01-01T00:30:00.250Z' }],
  ['the time with more digits', { occurredAt: '2026-01-01T00:30:00.250000Z' }],
  ['another order of keys', { data: { a: 1, b: [{ y: 2, x: 1 }] } }],
  ['an update that a put does not carry', { update: 'AAA=' }],
  ['data that was lifted', { schemaVersion: 2, data: { a: 'one' } }],
];

describe('the same change', () => {
  it.each(INNOCENT)('is recognised with %s', async (_difference, changes) => {
    const author = newAuthor();
    const mutation = mutationOf(author, WRITTEN);
    const first = await rig.pushTexts(author, [mutation]);
    const again = { ...mutation, ...changes };
    expect(await rig.pushTexts(author, [again])).toEqual(first);
    expect(await rig.pushTexts(reinstalled(author), [again])).toEqual(first);
    const [once, twice] = await rig.pushTexts(author, [mutation, again]);
    expect(twice).toBe(once);
    expect(rig.owner.applied.filter((id) => id === mutation.mutationId)).toHaveLength(1);
  });

  it('has its outcome in the pulls of each device that sent it, until that one has acked it', async () => {
    const author = newAuthor();
    const mutation = mutationOf(author);
    rig.owner.mode = 'deaf';
    const [first, second] = [reinstalled(author), { ...author, deviceId: `${author.deviceId}-newer` }];
    for (const device of [author, first, second]) {
      expect(await rig.push(device, [mutation])).toMatchObject([{ status: 'accepted' }]);
      expect(await pulled(device)).toEqual([]);
    }
    rig.owner.mode = 'answers';
    const before = await fingerprint(first);
    expect(await rig.dispatch(author)).toBe(1);
    const applied = [expect.objectContaining({ mutationId: mutation.mutationId, status: 'applied' })];
    for (const device of [author, first, second]) expect(await pulled(device)).toEqual(applied);
    // Both tell a waiting pull, in this replica and in others.
    expect(await fingerprint(first)).not.toBe(before);
    expect(await sweptAs(first, before)).toBe(true);
    expect(await sweptAs(first, await fingerprint(first))).toBe(false);
    await acked(first, mutation);
    expect(await pulled(first)).toEqual([]);
    for (const device of [author, second]) expect(await pulled(device)).toEqual(applied);
    expect(await pulled({ ...first, userId: 'somebody-else' })).toEqual([]);
  });

  it('is a deletion with or without data', async () => {
    const author = newAuthor();
    const made = mutationOf(author);
    await rig.push(author, [made]);
    const { data: _none, ...gone } = mutationOf(author, {
      entityId: made.entityId,
      op: 'delete',
      baseClock: { [`d:${author.deviceId}`]: 1 },
    });
    const first = await rig.pushTexts(author, [gone]);
    expect(await rig.pushTexts(author, [{ ...gone, data: null }])).toEqual(first);
    expect(await rig.pushTexts(author, [{ ...gone, data: { any: 1 } }])).toEqual(first);
  });

  it('is recognised by the hash that releases before identities have left', async () => {
    const { tenantId, userId, deviceId } = newAuthor();
    const author = await rig.identity.bind(tenantId, userId, deviceId);
    const mutation = mutationOf(author);
    const first = await rig.pushTexts(author, [mutation]);
    const before = hash('sha256', canonicalPayload({ ...mutation }).text, 'hex');
    await rig.test.database.inTenant(author.tenantId, (tx) =>
      tx.query(`UPDATE mutation SET payload_hash = decode($1, 'hex')`, [before]),
    );
    expect(await rig.pushTexts(author, [mutation])).toEqual(first);
    expect(await rig.pushTexts(author, [tagMutation(author, mutation)])).toEqual(first);
    expect(await rig.pushTexts(reinstalled(author), [mutation])).toEqual(first);
    expect(await rig.push(author, [{ ...mutation, data: {} }])).toMatchObject([REUSED]);
  });
});

async function grant({ tenantId, userId }: Author, scope: string): Promise<void> {
  await rig.test.database.inTenant(tenantId, (tx) =>
    tx.query(
      `INSERT INTO scope_grant (tenant_id, user_id, scope, source_type, source_id, granted, revision,
        ingest_partition, ingest_number)
       VALUES ($1, $2, $3, 'course', 'c1', true, 1, 0, 0)`,
      [tenantId, userId, scope],
    ),
  );
}

async function pulled(author: Author): Promise<Outcome[]> {
  const rows = await readPull(rig.test.database, author, [], 1, 0);
  const outcomes = rows.find(({ kind }) => kind === 'outcomes') as NoteRow | undefined;
  return JSON.parse(`[${outcomes?.items ?? ''}]`) as Outcome[];
}

async function acked(author: Author, { mutationId }: LocalMutation): Promise<void> {
  const nothing = { cursors: [], purged: [], maxResyncs: 0, partition: 0 };
  await new AckStore(rig.test.database).write(author, { ...nothing, outcomes: [mutationId] });
}

async function fingerprint({ tenantId, userId, deviceId }: Author): Promise<string> {
  const rows = await rig.test.database.inTenant(tenantId, (tx) =>
    tx.query<{ text: string }>('SELECT device_fingerprint($1, $2, $3) AS text', [tenantId, userId, deviceId]),
  );
  return rows[0]?.text ?? '';
}

/** Whether a replica that knows the device by this fingerprint finds that it has changed. */
async function sweptAs({ tenantId, userId, deviceId }: Author, known: string): Promise<boolean> {
  const rows = await rig.test.database.transaction((tx) =>
    tx.query<{ kind: string }>(`SELECT kind FROM sweep_changes('{}', NULL, $1, 10, $2, '{1}', $3, $4, $5)`, [
      ...[tenantId, [tenantId], [userId], [deviceId], [known]],
    ]),
  );
  return rows.some(({ kind }) => kind === 'device');
}
