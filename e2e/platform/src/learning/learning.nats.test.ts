import { randomUUID } from 'node:crypto';
import type { OwnerPushResult, PushedMutation } from '@sync/protocol';
import { type ServiceRig, mutationOf, startServiceRig } from '../testing/platform-rig.ts';
import { startLearning } from './start-learning.ts';

let rig: ServiceRig;
beforeAll(async () => {
  rig = await startServiceRig('learning', startLearning);
});
afterAll(() => rig.stop());

const push = async (mutation: PushedMutation): Promise<OwnerPushResult | undefined> =>
  (await rig.push([mutation]))[0];
const codeOf = (result: OwnerPushResult | undefined): string | undefined =>
  result?.status === 'rejected' ? result.code : result?.status;
const putEntity = (entityType: string, entityId: string, data: unknown): ReturnType<ServiceRig['call']> =>
  rig.call('POST', `/dev/tenants/acme/entities/${entityType}/${entityId}`, { data });

describe('note', () => {
  const note = (given: Partial<PushedMutation> = {}): PushedMutation =>
    mutationOf({ entityType: 'note', op: 'put', data: { userId: 'ada', text: 'hello' }, ...given });

  it('is put, patched and deleted by its user', async () => {
    const { entityId } = note();
    expect(await push(note({ entityId }))).toMatchObject({ status: 'applied', revision: 1 });
    expect(
      await push(note({ entityId, op: 'patch', data: { colour: 'red' }, expectedRevision: 1 })),
    ).toMatchObject({
      revision: 2,
    });
    expect(await push(note({ entityId, op: 'delete', data: null, expectedRevision: 2 }))).toMatchObject({
      revision: 3,
    });
    expect((await rig.eventsOf(entityId)).map(({ data }) => data)).toEqual([
      { userId: 'ada', text: 'hello' },
      { userId: 'ada', text: 'hello', colour: 'red' },
      null,
    ]);
  });

  it.each([
    ['without text', { userId: 'ada' }, 'data_invalid', '/text'],
    ['with a number as text', { userId: 'ada', text: 1 }, 'data_invalid', '/text'],
    ['without a user', { text: 'x' }, 'data_invalid', '/userId'],
    ['of another user', { userId: 'bob', text: 'x' }, 'forbidden', '/userId'],
  ])('is rejected %s', async (_what, data, code, path) => {
    expect(await push(note({ data }))).toMatchObject({
      status: 'rejected',
      code,
      message: expect.stringContaining(path) as string,
    });
  });

  it('takes null in a field that it need not have for: there is none', async () => {
    const entityId = randomUUID();
    const text = 'two pages of a learner’s own words '.repeat(200);
    const at = (expectedRevision: number, op: 'put' | 'patch', data: object): PushedMutation =>
      note({ entityId, op, data: { ...data }, expectedRevision });
    const results = await rig.push([
      at(0, 'put', { userId: 'ada', text, colour: null, courseId: null }),
      at(1, 'patch', { colour: 'red', courseId: 'c1' }),
      at(2, 'patch', { colour: null }),
    ]);
    expect(results).toMatchObject([
      { status: 'applied', changed: true, data: { userId: 'ada', text } },
      { status: 'applied' },
      { status: 'applied', changed: true },
    ]);
    expect((await rig.eventsOf(entityId)).map(({ data }) => data)).toEqual([
      { userId: 'ada', text },
      { userId: 'ada', text, colour: 'red', courseId: 'c1' },
      { userId: 'ada', text, courseId: 'c1' },
    ]);
    expect(await push(at(3, 'patch', { text: null }))).toMatchObject({
      code: 'data_invalid',
      message: expect.stringContaining('/text') as string,
    });
  });

  it.each(['put', 'patch', 'delete'] as const)('of another user cannot be touched by %s', async (op) => {
    const entityId = randomUUID();
    await putEntity('note', entityId, { userId: 'bob', text: 'mine' });
    const data = op === 'delete' ? null : { userId: 'ada', text: 'taken' };
    expect(codeOf(await push(note({ entityId, op, data, expectedRevision: 1 })))).toBe('forbidden');
  });
});

describe('progress', () => {
  const data = { userId: 'ada', courseId: 'c1', percent: 40, status: 'in_progress' };
  const progress = (given: Partial<PushedMutation> = {}): PushedMutation =>
    mutationOf({ entityType: 'progress', op: 'put', data, ...given });

  it.each([
    ['percent above 100', { percent: 101 }, '/percent'],
    ['a negative percent', { percent: -1 }, '/percent'],
    ['a percent as text', { percent: '40' }, '/percent'],
    ['an unknown status', { status: 'done' }, '/status'],
    ['a course with a separator', { courseId: 'a:b' }, '/courseId'],
  ])('is rejected with %s', async (_what, wrong, path) => {
    expect(await push(progress({ data: { ...data, ...wrong } }))).toMatchObject({
      code: 'data_invalid',
      message: expect.stringContaining(path) as string,
    });
  });

  it('loses its page and its score by null', async () => {
    const { entityId } = progress();
    await rig.push([
      progress({ entityId, data: { ...data, lastPage: 4, score: null } }),
      progress({ entityId, op: 'patch', data: { lastPage: null, percent: 50 }, expectedRevision: 1 }),
    ]);
    expect((await rig.eventsOf(entityId)).map((event) => event.data)).toEqual([
      { ...data, lastPage: 4 },
      { ...data, percent: 50 },
    ]);
  });

  it('earns one certificate when it completes, however often and from wherever', async () => {
    const courseId = `course-${randomUUID()}`;
    const { entityId } = progress();
    const mine = { ...data, courseId };
    const results = await rig.push([
      progress({ entityId, data: mine }),
      progress({ entityId, op: 'patch', data: { percent: 100, status: 'completed' }, expectedRevision: 1 }),
      progress({ entityId, op: 'patch', data: { status: 'in_progress' }, expectedRevision: 2 }),
      progress({ entityId, op: 'patch', data: { status: 'completed' }, expectedRevision: 3 }),
    ]);
    expect(results.map(({ status }) => status)).toEqual(results.map(() => 'applied'));
    await putEntity('progress', randomUUID(), { ...mine, percent: 100, status: 'completed' });
    const certificates = await rig.database.inTenant('acme', (tx) =>
      tx.query<{ entity_id: string; data: unknown }>(
        `SELECT entity_id, data FROM certificate WHERE data ->> 'courseId' = $1`,
        [courseId],
      ),
    );
    expect(certificates).toEqual([
      {
        entity_id: expect.stringMatching(/^certificate-[0-9a-f]{32}$/) as string,
        data: { userId: 'ada', courseId, issuedAt: expect.stringMatching(/Z$/) as string },
      },
    ]);
    expect(await rig.eventsOf(certificates[0]?.entity_id ?? '')).toHaveLength(1);
  });
});

describe('statement', () => {
  const verb = { id: 'http://adlnet.gov/expapi/verbs/experienced', display: { 'en-US': 'experienced' } };
  const object = { id: 'https://example.org/courses/c1/page/1' };
  const statement = (given: Partial<PushedMutation> = {}): PushedMutation =>
    mutationOf({ entityType: 'statement', op: 'append', data: { verb, object }, ...given });

  it('is stamped with actor, authority, id, times and version; userId stands beside it in the event', async () => {
    const mutation = statement({ data: { verb, object, actor: { mbox: 'mailto:eve@example.org' } } });
    expect(codeOf(await push(mutation))).toBe('applied');
    const [event] = await rig.eventsOf(mutation.entityId);
    const ada = { objectType: 'Agent', account: { homePage: 'https://identity.sync.local', name: 'ada' } };
    expect(event?.data).toEqual({
      id: mutation.entityId,
      actor: ada,
      authority: ada,
      verb,
      object,
      timestamp: mutation.occurredAt,
      stored: event?.time,
      version: '1.0.0',
      userId: 'ada',
    });
  });

  it('is one entity however often it is sent', async () => {
    const mutation = statement();
    const [first] = await rig.push([mutation]);
    const again = { mutationId: randomUUID(), occurredAt: '2026-05-01T00:00:00.000Z' };
    expect(await push({ ...mutation, ...again })).toMatchObject({ status: 'applied', revision: 1 });
    const other = { ...mutation, mutationId: randomUUID(), data: { verb, object: { id: 'urn:other' } } };
    expect(codeOf(await push(other))).toBe('entity_exists');
    expect(first).toMatchObject({ revision: 1 });
    expect(await rig.eventsOf(mutation.entityId)).toHaveLength(1);
  });

  it.each([
    ['no verb', { object }, '/verb'],
    ['a verb without IRI', { verb: { id: 'experienced' }, object }, '/verb/id'],
    ['an object without IRI', { verb, object: { id: 'page 1' } }, '/object/id'],
    [
      'a voided activity',
      { verb: { id: 'http://adlnet.gov/expapi/verbs/voided' }, object },
      '/object/objectType',
    ],
    [
      'a reference to no statement',
      { verb, object: { objectType: 'StatementRef', id: 'page 1' } },
      '/object/id',
    ],
    ['an id of its own', { id: '6690e6c9-3ef0-4ed3-8b37-7f3964730bee', verb, object }, '/id'],
    ['a score out of range', { verb, object, result: { score: { scaled: 2 } } }, '/result/score/scaled'],
    ['a property that xAPI does not know', { verb, object, colour: 'red' }, ''],
  ])('is rejected with %s', async (_what, data, path) => {
    expect(await push(statement({ data }))).toMatchObject({
      code: 'data_invalid',
      message: expect.stringContaining(path) as string,
    });
  });

  it('may void another one, which stays', async () => {
    const voided = statement();
    const voiding = statement({
      data: {
        verb: { id: 'http://adlnet.gov/expapi/verbs/voided' },
        object: { objectType: 'StatementRef', id: voided.entityId },
      },
    });
    expect((await rig.push([voided, voiding])).map(({ status }) => status)).toEqual(['applied', 'applied']);
    expect(await rig.eventsOf(voided.entityId)).toHaveLength(1);
  });

  it('is rejected under an id that is no UUID, and in the name of another user', async () => {
    expect(codeOf(await push(statement({ entityId: 'statement-1' })))).toBe('data_invalid');
    const account = { homePage: 'https://identity.sync.local', name: 'bob' };
    expect(codeOf(await push(statement({ data: { verb, object, actor: { account } } })))).toBe('forbidden');
    expect(codeOf(await push(statement({ data: { verb, object, userId: 'bob' } })))).toBe('forbidden');
  });
});

describe('what only the service does', () => {
  it('lets a learner withdraw from a course and nothing else', async () => {
    const entityId = randomUUID();
    const data = { userId: 'ada', courseId: 'c1', status: 'active' };
    const enrol = (given: Partial<PushedMutation>): PushedMutation =>
      mutationOf({ entityType: 'enrollment', op: 'put', entityId, data, expectedRevision: 1, ...given });
    expect(codeOf(await push(enrol({ expectedRevision: 0 })))).toBe('forbidden');
    await putEntity('enrollment', entityId, data);
    expect(codeOf(await push(enrol({ data: { ...data, status: 'completed' } })))).toBe('forbidden');
    expect(codeOf(await push(enrol({ data: { ...data, courseId: 'c2', status: 'withdrawn' } })))).toBe(
      'forbidden',
    );
    expect(codeOf(await push(enrol({ op: 'delete', data: null })))).toBe('forbidden');
    expect(codeOf(await push(enrol({ op: 'patch', data: { status: 'withdrawn' } })))).toBe('applied');
  });

  it.each(['certificate', 'bundle'])('keeps a %s out of reach', async (entityType) => {
    const mutation = mutationOf({ entityType, op: 'put', data: { userId: 'ada', courseId: 'c1' } });
    expect(codeOf(await push(mutation))).toBe('forbidden');
  });
});

describe('the server side', () => {
  it('creates, replaces and deletes with its own counter', async () => {
    const path = `/dev/tenants/acme/entities/bundle/${randomUUID()}`;
    const file = { path: 'index.html', sha256: 'a'.repeat(64), bytes: 10 };
    const data = { courseId: 'c1', title: 'Course', files: [file] };
    expect(await rig.call('POST', path, { data })).toEqual({ status: 200, body: { revision: 1 } });
    expect(await rig.call('PUT', path, { data })).toEqual({ status: 200, body: { revision: 2 } });
    expect(await rig.call('DELETE', path)).toEqual({ status: 200, body: { revision: 3 } });
    expect((await rig.call('DELETE', path)).status).toBe(404);
    const events = await rig.eventsOf(path.split('/').at(-1) ?? '');
    expect(events.map(({ entityclock }) => entityclock)).toEqual([1, 2, 3].map((n) => `{"s:learning":${n}}`));
  });

  it('takes many at once, all or none', async () => {
    const path = '/dev/tenants/acme/entities/note';
    const entities = Array.from({ length: 1_000 }, () => ({
      entityId: randomUUID(),
      data: { userId: 'ada', text: 'bulk' },
    }));
    const { status, body } = await rig.call('POST', path, { entities });
    expect(status).toBe(200);
    expect(body['revisions']).toEqual(entities.map(() => 1));
    const broken = [
      { entityId: randomUUID(), data: { userId: 'ada', text: 'fine' } },
      { entityId: 'n2', data: {} },
    ];
    const refused = await rig.call('POST', path, { entities: broken });
    expect(refused.status).toBe(400);
    expect(refused.body['errors']).toContainEqual(expect.objectContaining({ path: '/entities/1/data/text' }));
    expect(await rig.eventsOf(broken[0]?.entityId ?? '')).toEqual([]);
  });

  it.each([
    ['data that does not fit its schema', 'note/n1', { data: { userId: 'ada' } }, 400],
    ['no data', 'note/n1', {}, 400],
    ['an entity id with a slash', 'note/a%2Fb', { data: {} }, 400],
    ['text that Postgres cannot store', 'note/n1', { data: { userId: 'ada', text: '\0' } }, 400],
    ['a type of another service', 'document/d1', { data: {} }, 404],
  ])('refuses %s', async (_what, path, body, status) => {
    const answer = await rig.call('POST', `/dev/tenants/acme/entities/${path}`, body);
    expect(answer.status).toBe(status);
    expect(answer.body).toMatchObject({ serverTime: expect.any(String) as string });
  });
});
