import { randomUUID } from 'node:crypto';
import { RemoteError } from '@sync/messaging';
import { needed } from '@sync/e2e-conformance/needs';
import type { OwnerPushResult, PushedMutation } from '@sync/protocol';
import { Owner, typesUnderTest } from './kit/owner.ts';
import { type TypeUnderTest, Writer } from './kit/writer.ts';

const AT_ONCE = 8;
const types = typesUnderTest();

let owner: Owner;
beforeAll(async () => {
  owner = await Owner.connect();
});
afterAll(() => owner.close());

const statusOf = (result: OwnerPushResult | undefined): string => result?.status ?? 'unanswered';

/** Something that the type can do besides being written once. */
function changeable({ entityType, registration }: TypeUnderTest): void {
  if (registration.policy === 'append_only')
    throw needed(`a type that is not append_only: not ${entityType}`);
}

function promised(type: TypeUnderTest, what: 'pushChains' | 'pushShares' | 'pushRefuses'): void {
  if (type.registration[what] !== true) throw needed(`a registration that says ${what}`);
}

describe.each(types)('$entityType', (type) => {
  it('answers each mutation of a request once, in the form of the protocol', async () => {
    const writer = new Writer(type);
    const mutations = [writer.create(), writer.create(), writer.create()];
    const { results } = await owner.ask(writer, mutations);
    expect(results.map(({ mutationId }) => mutationId).sort()).toEqual(
      mutations.map(({ mutationId }) => mutationId).sort(),
    );
    expect(results.map(statusOf)).toEqual(['applied', 'applied', 'applied']);
  });

  it('has stored what it says that it has applied', async () => {
    const writer = new Writer(type);
    const mutation = writer.create();
    const revision = await owner.apply(writer, mutation);
    expect(await owner.stored(writer, mutation.entityId)).toMatchObject({ revision, deleted: false });
  });

  it('answers a repetition as the first time, and tells of the change once', async () => {
    const writer = new Writer(type);
    const mutation = writer.create();
    const [first] = await owner.push(writer, mutation);
    for (let repeated = 0; repeated < 3; repeated += 1)
      expect(await owner.push(writer, mutation)).toEqual([first]);
    expect(first).toMatchObject({ status: 'applied', revision: 1 });
    await owner.settle(writer);
    expect(owner.eventsOf(writer, mutation.entityId).map(({ revision }) => revision)).toEqual([1]);
  });

  it('answers a repeated change of an entity as the first time, also when it was changed since', async () => {
    changeable(type);
    const writer = new Writer(type);
    const { entityId, ...made } = writer.create();
    const change = writer.change(entityId, 1);
    const [, first] = [
      await owner.push(writer, { entityId, ...made }),
      await owner.push(writer, change),
      await owner.push(writer, writer.change(entityId, 2)),
    ];
    expect(first).toMatchObject([{ status: 'applied', revision: 2 }]);
    const again = await owner.push(writer, change);
    expect(again).toMatchObject([{ status: 'applied', revision: 2 }]);
    expect(await owner.stored(writer, entityId)).toMatchObject({ revision: 3 });
  });

  it('carries out once what comes several times at the same moment', async () => {
    const writer = new Writer(type);
    const mutation = writer.create();
    const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => owner.push(writer, mutation)));
    expect(answers.map(([answer]) => statusOf(answer))).toEqual(Array<string>(AT_ONCE).fill('applied'));
    expect(answers).toEqual(answers.map(() => answers[0]));
    await owner.settle(writer);
    expect(owner.eventsOf(writer, mutation.entityId).map(({ revision }) => revision)).toEqual([1]);
    expect(await owner.stored(writer, mutation.entityId)).toMatchObject({ revision: 1 });
  });

  it('does not carry out another change under the id of an applied one', async () => {
    const writer = new Writer(type);
    const mutation = writer.create();
    await owner.apply(writer, mutation);
    const other = writer.otherwise(mutation, { ...writer.create(), mutationId: mutation.mutationId });
    const [answer] = await owner.push(writer, other);
    // An owner that does not compare changes answers as the first time.
    if (answer?.status === 'rejected') expect(answer.code).toBe('mutation_id_reused');
    else expect(answer).toMatchObject({ status: 'applied', revision: 1 });
    expect(await owner.stored(writer, other.entityId)).toBeUndefined();
  });

  it('hands back the present state instead of overwriting it, and keeps no such answer', async () => {
    changeable(type);
    const writer = new Writer(type);
    const { entityId, ...made } = writer.create();
    await owner.apply(writer, { entityId, ...made }, writer.change(entityId, 1));
    const before = await owner.stored(writer, entityId);
    const late = writer.change(entityId, 1);
    const [answer] = await owner.push(writer, late);
    // A snapshot shows a document; who decides has to know the fields beside it.
    const data = type.registration.policy === 'crdt_yjs' ? {} : before?.data;
    expect(answer).toMatchObject({ status: 'conflict', current: { revision: 2, deleted: false, data } });
    expect(await owner.stored(writer, entityId)).toMatchObject({ revision: 2 });
    // The gateway has decided anew, and comes under the same id.
    const [decided] = await owner.push(writer, { ...late, expectedRevision: 2 });
    expect(decided).toMatchObject({ status: 'applied', revision: 3 });
  });

  it('says that an entity is not there to whoever expects it', async () => {
    changeable(type);
    const writer = new Writer(type);
    const mutation = writer.create(randomUUID(), 3);
    const [answer] = await owner.push(writer, mutation);
    expect(answer).toMatchObject({ status: 'conflict', current: { revision: 0, data: null } });
    expect(await owner.stored(writer, mutation.entityId)).toBeUndefined();
  });

  it('lets one of two win that expect the same state', async () => {
    changeable(type);
    const writer = new Writer(type);
    const mutation = writer.create();
    await owner.apply(writer, mutation);
    const both = [writer.change(mutation.entityId, 1), writer.change(mutation.entityId, 1)];
    const answers = await Promise.all(both.map((one) => owner.push(writer, one)));
    expect(answers.map(([answer]) => statusOf(answer)).sort()).toEqual(['applied', 'conflict']);
    expect(await owner.stored(writer, mutation.entityId)).toMatchObject({ revision: 2 });
  });

  it('carries several changes of an entity out in the order of their request', async () => {
    changeable(type);
    promised(type, 'pushChains');
    const writer = new Writer(type);
    const made = writer.create();
    const { entityId } = made;
    const rest = [writer.change(entityId, 1), writer.remove(entityId, 2)];
    const answers = await owner.push(writer, made, ...rest);
    expect(answers).toMatchObject([
      { status: 'applied', revision: 1 },
      { status: 'applied', revision: 2 },
      { status: 'applied', revision: 3 },
    ]);
    const revisions = (await owner.awaitEvents(writer, entityId, 3)).map(({ revision }) => revision);
    expect(revisions).toEqual([1, 2, 3]);
  });

  it('answers conflict to all that follows a conflict of the entity', async () => {
    changeable(type);
    promised(type, 'pushChains');
    const writer = new Writer(type);
    const made = writer.create();
    const { entityId } = made;
    await owner.apply(writer, made, writer.change(entityId, 1));
    // The second expects what the entity has come to by somebody else’s change.
    const answers = await owner.push(writer, writer.change(entityId, 1), writer.change(entityId, 2));
    expect(answers.map(statusOf)).toEqual(['conflict', 'conflict']);
    expect(await owner.stored(writer, entityId)).toMatchObject({ revision: 2 });
  });

  it('refuses invalid data with a code and a message, and leaves its neighbours alone', async () => {
    const writer = new Writer(type);
    const mutations = [writer.create(), writer.createInvalid(), writer.create()];
    const [before, bad, after] = await owner.push(writer, ...mutations);
    expect([before, after].map(statusOf)).toEqual(['applied', 'applied']);
    expect(bad).toMatchObject({ status: 'rejected', message: expect.stringMatching(/\S/) as string });
    expect(await owner.push(writer, ...mutations)).toEqual([before, bad, after]);
    await owner.settle(writer);
    const told = mutations.map(({ entityId }) => owner.eventsOf(writer, entityId).length);
    expect(told).toEqual([1, 0, 1]);
    expect(await owner.stored(writer, mutations[1]?.entityId ?? '')).toBeUndefined();
  });

  it('takes null in a field that need not be there', async () => {
    changeable(type);
    const { optional } = type.example;
    if (optional === undefined) throw needed(`“optional” of ${type.entityType}`);
    const writer = new Writer(type);
    const made = writer.create();
    const cleared = writer.otherwise(writer.change(made.entityId, 1), { data: { [optional]: null } });
    const [, answer] = [await owner.push(writer, made), (await owner.push(writer, cleared))[0]];
    const { data } = (await owner.stored(writer, made.entityId)) ?? {};
    const isValue = data?.[optional] === null;
    expect(answer).toMatchObject({ status: 'applied', ...(!isValue && { changed: true }) });
    expect(isValue || !Object.hasOwn(data ?? {}, optional)).toBe(true);
  });

  it('refuses for good what it is only asked for, and says what it has applied', async () => {
    promised(type, 'pushRefuses');
    const writer = new Writer(type);
    const refuse = { code: 'scope_not_held', message: 'withdrawn' };
    const [never, applied] = [writer.create(), writer.create()];
    const [first] = await owner.push(writer, applied);
    expect(await owner.push(writer, { ...never, refuse }, { ...applied, refuse })).toEqual([
      expect.objectContaining({ status: 'rejected', code: 'scope_not_held' }),
      first,
    ]);
    const [late] = await owner.push(writer, never);
    expect(late).toMatchObject({ status: 'rejected', code: 'scope_not_held' });
    expect(await owner.stored(writer, never.entityId)).toBeUndefined();
  });

  it('does what several devices send together, or nothing of it', async () => {
    promised(type, 'pushShares');
    const writer = new Writer(type);
    const other = new Writer(type, writer.tenantId);
    const mutations = [writer.create(), other.create()];
    const reply = await owner.ask(writer, mutations, true).catch((error: unknown) => error);
    if (reply instanceof RemoteError) {
      expect(reply.code).toBe('shared_failed');
      expect(await owner.snapshot(type, [writer.tenantId])).toEqual([]);
      return;
    }
    expect(reply).toMatchObject({ results: [{ status: 'applied' }, { status: 'applied' }] });
  });

  it.each([
    ['no JSON', () => '{"tenantId":'],
    ['nothing', () => ''],
    ['no push request', () => '{"mutations":7}'],
    [
      'a mutation of another entity type',
      () => {
        const writer = new Writer(type);
        const { tenantId } = writer;
        return JSON.stringify({ tenantId, mutations: [{ ...writer.create(), entityType: 'nowhere' }] });
      },
    ],
  ])('answers %s with an error, and goes on', async (_what, body) => {
    const writer = new Writer(type);
    const reply = await owner.nats.request(owner.pushSubject(type), body(), { timeout: 12_000 });
    expect(reply.json()).toMatchObject({
      error: {
        code: expect.stringMatching(/^[a-z][a-z0-9_]*$/) as string,
        message: expect.any(String) as string,
      },
    });
    expect(await owner.apply(writer, writer.create())).toBe(1);
  });

  it('knows a record again under another mutationId, and takes no other one under its id', async () => {
    if (type.registration.policy !== 'append_only') throw needed('an append_only type');
    const writer = new Writer(type);
    const record = writer.create();
    const revision = await owner.apply(writer, record);
    const again: PushedMutation = { ...record, mutationId: randomUUID() };
    expect(await owner.push(writer, again)).toMatchObject([{ status: 'applied', revision }]);
    const stranger = new Writer(type, writer.tenantId);
    const [taken] = await owner.push(stranger, stranger.create(record.entityId));
    expect(taken).toMatchObject({ status: 'rejected', code: expect.any(String) as string });
    await owner.settle(writer);
    expect(owner.eventsOf(writer, record.entityId)).toHaveLength(1);
  });
});
