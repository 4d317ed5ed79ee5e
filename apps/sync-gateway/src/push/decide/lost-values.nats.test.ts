import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { ConflictDraft } from '@sync/domain';
import { Responder } from '@sync/messaging';
import {
  type ConflictSeen,
  type ExplainReply,
  type LocalMutation,
  type Outcome,
  type RegisteredEntityType,
  subjects,
} from '@sync/protocol';
import type { Author } from '../outcome/settlement.ts';
import { mutationOf, newAuthor, type PushRig, silent, startPushRig } from '../testing/push-rig.ts';

/** Whatever a mutation wrote that lost to what the server has is in a record; see each `it`. */
let rig: PushRig;
beforeAll(async () => {
  rig = await startPushRig();
});
afterAll(() => rig.stop());
beforeEach(() => {
  rig.owner.projectsAtOnce = true;
  rig.owner.requests.length = 0;
});

async function draftOf(outcome: Outcome | undefined): Promise<ConflictDraft | undefined> {
  const seen = (await rig.syncEvents())
    .filter(({ type }) => type.startsWith('sync.conflict.'))
    .map(({ data }) => data as ConflictSeen)
    .filter(({ conflictId }) => conflictId === outcome?.conflictId);
  expect(seen.length).toBeLessThanOrEqual(1);
  return seen[0]?.draft as ConflictDraft | undefined;
}

function register(entityType: string, changes: Partial<RegisteredEntityType>): () => void {
  const known = rig.types.get(entityType);
  if (!known) throw new Error(`${entityType} is not registered`);
  rig.types.set(entityType, { ...known, ...changes });
  return () => void rig.types.set(entityType, known);
}

describe('server_authoritative, while the server’s change is not projected yet', () => {
  const withdraw = (author: Author, entityId: string): LocalMutation =>
    mutationOf(author, {
      entityType: 'enrollment',
      entityId,
      op: 'patch',
      data: { status: 'withdrawn' },
      baseClock: { 's:learning': 1 },
    });

  it('rejects at once, with what the owner has as far as the device may see it', async () => {
    const restore = register('enrollment', {
      projection: { kind: 'declarative', fields: ['userId', 'status'], scopes: ['user:{userId}'] },
    });
    const author = newAuthor();
    const { tenantId, userId } = author;
    const entityId = `ahead-${author.deviceId}`;
    await rig.owner.change(tenantId, 'enrollment', entityId, { userId, status: 'active', grade: 'secret' });
    rig.owner.projectsAtOnce = false;
    await rig.owner.change(tenantId, 'enrollment', entityId, {
      userId,
      status: 'completed',
      grade: 'secret',
    });
    const [outcome] = await rig.push(author, [withdraw(author, entityId)]);
    expect(outcome).toMatchObject({
      status: 'rejected',
      code: 'server_changed',
      current: { op: 'put', clock: { 's:learning': 2 }, data: { userId, status: 'completed' } },
    });
    expect(await draftOf(outcome)).toMatchObject({
      ours: { userId, status: 'completed' },
      theirs: { status: 'withdrawn' },
      fields: [{ field: 'status', ours: 'completed', theirs: 'withdrawn', winner: 'ours' }],
    });
    expect(JSON.stringify([outcome, await draftOf(outcome)])).not.toContain('secret');
    await rig.owner.projectAll();
    restore();
  });

  it('and has deleted it, says so', async () => {
    const author = newAuthor();
    const { tenantId, userId } = author;
    const entityId = `deleted-${author.deviceId}`;
    await rig.owner.change(tenantId, 'enrollment', entityId, { userId, status: 'active' });
    rig.owner.projectsAtOnce = false;
    await rig.owner.change(tenantId, 'enrollment', entityId, null);
    const [outcome] = await rig.push(author, [withdraw(author, entityId)]);
    expect(outcome).toMatchObject({ status: 'rejected', code: 'server_changed', current: { op: 'delete' } });
    expect(await draftOf(outcome)).toMatchObject({ ours: null, theirs: { status: 'withdrawn' } });
    await rig.owner.projectAll();
  });

  it.each([
    ['belongs to another user now', { userId: 'somebody-else', status: 'active' }],
    ['never was this user’s', null],
  ])('waits for the projection when the entity %s, and shows nothing of it', async (_what, data) => {
    const author = newAuthor();
    const { tenantId, userId } = author;
    const entityId = `foreign-${author.deviceId}`;
    const first = data === null ? { userId: 'another', status: 'active' } : { userId, status: 'active' };
    await rig.owner.change(tenantId, 'enrollment', entityId, first);
    rig.owner.projectsAtOnce = false;
    await rig.owner.change(tenantId, 'enrollment', entityId, data ?? { ...first, status: 'completed' });
    const [outcome] = await rig.push(author, [withdraw(author, entityId)]);
    expect(outcome?.status).toBe('accepted');
    expect(JSON.stringify(outcome)).not.toMatch(/somebody-else|another|completed/);
    await rig.owner.projectAll();
    if (data === null) return;
    await rig.dispatch(author);
    const [ended] = await rig.waiting(author);
    expect(ended).toMatchObject({ status: 'rejected', current: { op: 'delete', data: null } });
    expect(await draftOf(ended)).toMatchObject({ ours: null, theirs: { status: 'withdrawn' } });
  });
});

describe('several changes of one entity, at an owner that compares each revision by itself', () => {
  it('do not overwrite the one change that the server made meanwhile', async () => {
    const restore = register('progress', { pushChains: false });
    rig.owner.comparesChains = false;
    const author = newAuthor();
    const { tenantId, userId } = author;
    const entityId = `chain-${author.deviceId}`;
    await rig.owner.change(tenantId, 'progress', entityId, { userId, lastPage: 1, score: 1 });
    rig.owner.projectsAtOnce = false;
    await rig.owner.change(tenantId, 'progress', entityId, { userId, lastPage: 1, score: 99 });
    const put = (lastPage: number, baseClock: Record<string, number>): LocalMutation => {
      const data = { userId, lastPage, score: 1 };
      return mutationOf(author, { entityId, op: 'put', data, baseClock, occurredAt: '2020-01-01T00:00:00Z' });
    };
    const stale = { 's:learning': 1 };
    await rig.push(author, [put(2, stale), put(3, { ...stale, [`d:${author.deviceId}`]: 1 })]);
    await rig.owner.projectAll();
    await rig.dispatch(author);
    rig.owner.comparesChains = true;
    restore();
    expect(await rig.waiting(author)).toMatchObject([{ status: 'merged' }, { status: 'merged' }]);
    expect(rig.owner.entity(tenantId, 'progress', entityId)?.data).toMatchObject({ score: 99 });
  });
});

describe('an append under a taken id', () => {
  const append = (author: Author, entityId: string, verb: string): LocalMutation => {
    const data = { userId: author.userId, verb };
    return mutationOf(author, { entityType: 'statement', entityId, op: 'append', data });
  };

  it('is kept beside what stands there', async () => {
    const author = newAuthor();
    const entityId = `taken-${author.deviceId}`;
    await rig.push(author, [append(author, entityId, 'passed')]);
    const [outcome] = await rig.push(author, [append(author, entityId, 'failed')]);
    expect(outcome).toMatchObject({ status: 'rejected', code: 'entity_exists' });
    expect(await draftOf(outcome)).toMatchObject({
      ours: { verb: 'passed' },
      theirs: { verb: 'failed' },
      fields: [{ field: 'verb', ours: 'passed', theirs: 'failed', winner: 'ours' }],
    });
  });

  it('is kept alone when that belongs to another user', async () => {
    const [author, other] = [newAuthor(), newAuthor()];
    const stranger = { ...other, tenantId: author.tenantId };
    const entityId = `foreign-${author.deviceId}`;
    await rig.push(stranger, [append(stranger, entityId, 'passed')]);
    const [outcome] = await rig.push(author, [append(author, entityId, 'failed')]);
    expect(outcome).toMatchObject({ status: 'rejected', code: 'entity_exists', current: { op: 'delete' } });
    const draft = await draftOf(outcome);
    expect(draft).toMatchObject({ ours: null, theirs: { verb: 'failed' } });
    expect(JSON.stringify(draft)).not.toContain('passed');
  });
});

describe('a refusal', () => {
  it('of what was merged into an unseen change is recorded; of what is wrong by itself it is not', async () => {
    const author = newAuthor();
    const { tenantId, userId } = author;
    const entityId = `refused-${author.deviceId}`;
    await rig.owner.change(tenantId, 'progress', entityId, { userId, percent: 1 });
    const base = { entityId, op: 'patch' as const, data: { text: 'forbidden' } };
    const clean = mutationOf(author, { ...base, baseClock: { 's:learning': 1 } });
    const [byItself] = await rig.push(author, [clean]);
    expect(byItself).toMatchObject({ status: 'rejected', code: 'forbidden' });
    expect(byItself).not.toHaveProperty('conflictId');
    await rig.owner.change(tenantId, 'progress', entityId, { userId, percent: 2 });
    const [merged] = await rig.push(author, [
      mutationOf(author, { ...base, baseClock: { 's:learning': 1 } }),
    ]);
    expect(merged).toMatchObject({ status: 'rejected', code: 'forbidden' });
    expect(await draftOf(merged)).toMatchObject({
      ours: { percent: 2 },
      theirs: { text: 'forbidden' },
      fields: [{ field: 'text', winner: 'ours' }],
    });
  });

  it('because of a dependency is recorded, whether the server has a value or not', async () => {
    const author = newAuthor();
    const { tenantId, userId } = author;
    const entityId = `dependant-${author.deviceId}`;
    await rig.owner.change(tenantId, 'progress', entityId, { userId, percent: 1 });
    const refused = mutationOf(author, { data: { text: 'forbidden' } });
    const dependsOn = [refused.mutationId];
    const over = { entityId, op: 'patch' as const, baseClock: { 's:learning': 1 }, data: { percent: 9 } };
    const outcomes = await rig.push(author, [
      refused,
      mutationOf(author, { ...over, dependsOn }),
      mutationOf(author, { dependsOn }),
    ]);
    expect(outcomes.map(({ code }) => code)).toEqual(['forbidden', 'dependency_failed', 'dependency_failed']);
    expect(await draftOf(outcomes[1])).toMatchObject({ ours: { percent: 1 }, theirs: { percent: 9 } });
    expect(await draftOf(outcomes[2])).toMatchObject({ ours: null, theirs: { percent: 10 } });
  });

  it('because the entity is gone, and nothing of it is left to compare with, is recorded', async () => {
    const author = newAuthor();
    const { tenantId, userId } = author;
    const entityId = `gone-${author.deviceId}`;
    rig.owner.projectsAtOnce = false;
    await rig.owner.change(tenantId, 'progress', entityId, { userId, percent: 1 });
    await rig.owner.change(tenantId, 'progress', entityId, null);
    const clock = { 's:learning': 1, [`d:${author.deviceId}`]: 1 };
    const entity = { revision: 2, clock, deleted: true, schemaVersion: 1, scopes: [], grants: [] };
    const answer: ExplainReply = {
      entity: { ...entity, projectedAt: new Date().toISOString() },
      deadLetter: null,
    };
    const projector = new Responder({
      nats: rig.nats,
      subject: subjects.explain,
      queue: 'projector',
      handle: async () => answer,
      logger: silent,
    });
    await rig.nats.flush();
    const mutation = mutationOf(author, { entityId, data: { userId, percent: 7 } });
    expect(await rig.push(author, [mutation])).toMatchObject([{ status: 'accepted' }]);
    for (let attempt = 1; attempt <= 3; attempt += 1) await rig.dispatch(author);
    await projector.stop();
    const [ended] = await rig.waiting(author);
    expect(ended).toMatchObject({ status: 'rejected', code: 'entity_deleted' });
    expect(await draftOf(ended)).toMatchObject({
      ours: null,
      theirs: { userId, percent: 7 },
      fields: [{ field: '', winner: 'ours' }, { field: 'percent', theirs: 7 }, { field: 'userId' }],
    });
    await rig.owner.projectAll();
  });
});
