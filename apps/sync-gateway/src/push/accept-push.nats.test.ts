import { hash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { mutationOf, newAuthor, type PushRig, startPushRig } from './testing/push-rig.ts';

let rig: PushRig;
beforeAll(async () => {
  rig = await startPushRig();
});
afterAll(() => rig.stop());
beforeEach(() => {
  rig.owner.mode = 'answers';
  rig.owner.projectsAtOnce = true;
  rig.owner.requests.length = 0;
});

describe('a clean push', () => {
  it('applies each mutation and answers in its order', async () => {
    const author = newAuthor();
    const mutations = [
      mutationOf(author),
      mutationOf(author),
      mutationOf(author, { entityType: 'statement', op: 'append' }),
    ];
    const outcomes = await rig.push(author, mutations);
    expect(outcomes).toEqual(
      mutations.map(({ mutationId, scope }) => ({
        ...{ mutationId, scope, status: 'applied' },
        clock: { [`d:${author.deviceId}`]: 1 },
      })),
    );
  });

  it('passes nothing on by which a device could pose as an accepted suggestion', async () => {
    const author = newAuthor();
    const suggestion = { suggestionId: 's1', edits: [{ path: 'body', was: 'a', text: 'b' }] };
    await rig.push(author, [Object.assign(mutationOf(author), { suggestion })]);
    const sent = rig.owner.requests.flat();
    expect(sent).toHaveLength(1);
    expect(sent[0]).not.toHaveProperty('suggestion');
  });

  it('says the digest of what is appended, which its owner would compute, and no other', async () => {
    const author = newAuthor();
    const data = { verb: 'read', at: { b: 2, a: [1, 'é'] } };
    const claimed = { dataDigest: 'x'.repeat(43) };
    await rig.push(author, [
      Object.assign(mutationOf(author, { entityType: 'statement', op: 'append', data }), claimed),
      Object.assign(mutationOf(author), claimed),
    ]);
    const sent = new Map(rig.owner.requests.flat().map((pushed) => [pushed.op, pushed.dataDigest]));
    const canonical = '{"at":{"a":[1,"é"],"b":2},"verb":"read"}';
    expect(sent.get('append')).toBe(hash('sha256', canonical, 'base64url'));
    expect(sent.get('put')).toBeUndefined();
  });

  it.each([1, 500])('costs two round trips to Postgres for %i mutations', async (count) => {
    const author = newAuthor();
    const mutations = Array.from({ length: count }, () => mutationOf(author));
    rig.owner.projectsAtOnce = false;
    const before = rig.test.database.roundTrips;
    const outcomes = await rig.push(author, mutations);
    expect(rig.test.database.roundTrips - before).toBe(2);
    expect(outcomes.every(({ status }) => status === 'applied')).toBe(true);
    await rig.owner.projectAll();
  });

  it('sends a chain of 20 edits of one entity as one request', async () => {
    const author = newAuthor();
    const device = `d:${author.deviceId}`;
    const chain = Array.from({ length: 20 }, (_, index) =>
      mutationOf(author, {
        entityId: `chain-${author.deviceId}`,
        op: index === 0 ? 'put' : 'patch',
        baseClock: index === 0 ? {} : { [device]: index },
        data: { userId: author.userId, percent: index },
      }),
    );
    const outcomes = await rig.push(author, chain);
    expect(outcomes.map(({ status }) => status)).toEqual(chain.map(() => 'applied'));
    expect(outcomes.at(-1)?.clock).toEqual({ [device]: 20 });
    expect(
      rig.owner.requests.map((request) => request.map(({ expectedRevision }) => expectedRevision)),
    ).toEqual([Array.from({ length: 20 }, (_, index) => index)]);
  });
});

describe('repetition', () => {
  it('has one effect and one answer, byte for byte, however often it comes', async () => {
    const author = newAuthor();
    const mutations = [mutationOf(author), mutationOf(author, { op: 'merge' })];
    const first = await rig.pushTexts(author, mutations);
    for (let round = 0; round < 50; round += 1) expect(await rig.pushTexts(author, mutations)).toEqual(first);
    expect(rig.owner.applied.filter((id) => id === mutations[0]?.mutationId)).toHaveLength(1);
  });

  it('has one effect when 20 come at once; each is told the truth', async () => {
    const author = newAuthor();
    const mutation = mutationOf(author);
    const answers = await Promise.all(Array.from({ length: 20 }, () => rig.push(author, [mutation])));
    for (const [outcome] of answers) expect(['applied', 'accepted']).toContain(outcome?.status);
    expect(rig.owner.applied.filter((id) => id === mutation.mutationId)).toHaveLength(1);
    expect(await rig.push(author, [mutation])).toEqual([expect.objectContaining({ status: 'applied' })]);
  });

  it('does not care for the order of keys or for fields of a later version', async () => {
    const author = newAuthor();
    const mutation = mutationOf(author);
    const [first] = await rig.pushTexts(author, [mutation]);
    const reordered = { later: true, ...Object.fromEntries(Object.entries(mutation).reverse()) };
    expect(await rig.pushTexts(author, [reordered])).toEqual([first]);
  });

  it('answers the same mutation twice in one push twice alike', async () => {
    const author = newAuthor();
    const mutation = mutationOf(author);
    const [first, second] = await rig.pushTexts(author, [mutation, { ...mutation }]);
    expect(second).toBe(first);
  });

  it('rejects another payload under a used id, and leaves the first alone', async () => {
    const author = newAuthor();
    const mutation = mutationOf(author);
    const [first] = await rig.pushTexts(author, [mutation]);
    const [reused] = await rig.push(author, [{ ...mutation, data: { userId: author.userId, percent: 99 } }]);
    expect(reused).toMatchObject({
      status: 'rejected',
      code: 'mutation_id_reused',
      current: { data: { percent: 10 } },
    });
    expect(await rig.pushTexts(author, [mutation])).toEqual([first]);
  });

  it('knows a mutation by its id in either case, and answers in lower case', async () => {
    const author = newAuthor();
    const [first, second] = [mutationOf(author), mutationOf(author)];
    const capitals = {
      ...second,
      mutationId: second.mutationId.toUpperCase(),
      dependsOn: [first.mutationId.toUpperCase()],
    };
    const outcomes = await rig.push(author, [first, capitals]);
    expect(outcomes).toMatchObject([
      { mutationId: first.mutationId, status: 'applied' },
      { mutationId: second.mutationId, status: 'applied' },
    ]);
    const again = [{ ...second, dependsOn: [first.mutationId] }, capitals];
    expect(await rig.push(author, again)).toEqual([outcomes[1], outcomes[1]]);
    const waits = mutationOf(author, { dependsOn: [second.mutationId.toUpperCase()] });
    expect(await rig.push(author, [waits])).toMatchObject([{ status: 'applied' }]);
  });

  it('rejects another payload under an id used in the same push', async () => {
    const author = newAuthor();
    const mutation = mutationOf(author);
    const outcomes = await rig.push(author, [mutation, { ...mutation, entityId: 'other' }]);
    expect(outcomes).toMatchObject([
      { status: 'applied' },
      {
        status: 'rejected',
        code: 'mutation_id_reused',
        current: { op: 'delete', entityId: 'other', clock: {} },
      },
    ]);
  });
});

describe('a bad mutation harms no other', () => {
  it.each([
    ['no entityType', { entityType: undefined }, 'mutation_invalid', '/entityType'],
    ['put without data', { data: undefined }, 'mutation_invalid', '/data'],
    ['merge without update', { op: 'merge' as const }, 'mutation_invalid', '/update'],
    ['no such day', { occurredAt: '2026-13-01T00:00:00Z' }, 'mutation_invalid', '/occurredAt'],
    ['a huge value', { data: { text: 'x'.repeat(270_000) } }, 'mutation_invalid', '/data'],
    ['a counter at its end', { baseClock: 'full' }, 'clock_limit_exceeded', '/baseClock'],
    ['unknown type', { entityType: 'unicorn' }, 'entity_type_unknown', '/entityType'],
    ['foreign scope', { scope: 'user:somebody-else' }, 'scope_not_held', '/scope'],
    ['op of another policy', { op: 'append' as const }, 'op_not_allowed', '/op'],
    ['put on append_only', { entityType: 'statement' }, 'append_only_violation', '/op'],
    ['another schema version', { schemaVersion: 2 }, 'schema_version_unknown', '/schemaVersion'],
    ['forbidden by its owner', { data: { text: 'forbidden' } }, 'forbidden', 'not yours'],
  ])('%s', async (_name, changes, code, message) => {
    const author = newAuthor();
    const fullClock = { [`d:${author.deviceId}`]: Number.MAX_SAFE_INTEGER };
    const { baseClock, ...rest } = changes as { baseClock?: unknown };
    const bad = { ...mutationOf(author), ...rest, ...(baseClock === 'full' ? { baseClock: fullClock } : {}) };
    const good = [mutationOf(author), mutationOf(author)];
    const outcomes = await rig.push(author, [good[0] as object, bad, good[1] as object]);
    expect(outcomes.map(({ status }) => status)).toEqual(['applied', 'rejected', 'applied']);
    expect(outcomes[1]?.code).toBe(code);
    expect(outcomes[1]?.message).toContain(message);
    expect(await rig.push(author, [bad])).toEqual([outcomes[1]]);
  });

  it('finds what parses but cannot be stored', async () => {
    const author = newAuthor();
    const good = mutationOf(author);
    const bad = mutationOf(author, { data: JSON.parse('{"text":"a\\u0000b"}') as { text: string } });
    const body = { sentAt: new Date().toISOString(), mutations: [good, bad] };
    const outcomes = await rig.acceptPush.execute(author, body, Date.now(), true);
    expect(outcomes.map((text) => JSON.parse(text) as unknown)).toMatchObject([
      { status: 'applied' },
      { status: 'rejected', code: 'mutation_invalid', message: expect.stringContaining('/data/text') },
    ]);
  });

  it('shows no entity of a scope that the user does not hold', async () => {
    const owner = newAuthor();
    const secret = mutationOf(owner, { data: { userId: owner.userId, lastPage: 'secret' } });
    await rig.push(owner, [secret]);
    const thief = { ...owner, userId: 'thief', deviceId: 'thief-device' };
    const outcomes = await rig.push(thief, [
      mutationOf(owner, { entityId: secret.entityId }),
      // Claims to have seen everything, in a scope of the thief's own: the owner answers `conflict` with the
      // entity.
      mutationOf(owner, {
        entityId: secret.entityId,
        scope: 'user:thief',
        baseClock: { [`d:${owner.deviceId}`]: 9 },
        data: { text: 'forbidden' },
      }),
    ]);
    expect(outcomes).toMatchObject([
      { status: 'rejected', code: 'scope_not_held', current: { op: 'delete', clock: {}, data: null } },
      { status: 'rejected', code: 'forbidden', current: { op: 'delete', clock: {}, data: null } },
    ]);
    expect(JSON.stringify(outcomes)).not.toContain('secret');
  });
});

describe('dependencies', () => {
  it('fails what depends on a rejected or its own mutation', async () => {
    const author = newAuthor();
    const bad = mutationOf(author, { data: { text: 'forbidden' } });
    const child = mutationOf(author, { dependsOn: [bad.mutationId] });
    const grandchild = mutationOf(author, { dependsOn: [child.mutationId] });
    const circle = mutationOf(author);
    const outcomes = await rig.push(author, [
      grandchild,
      child,
      bad,
      { ...circle, dependsOn: [circle.mutationId] },
      mutationOf(author),
    ]);
    expect(outcomes.map(({ code, status }) => code ?? status)).toEqual([
      'dependency_failed',
      'dependency_failed',
      'forbidden',
      'dependency_cycle',
      'applied',
    ]);
  });

  it('sends a dependant only after what it depends on was applied', async () => {
    const author = newAuthor();
    const first = mutationOf(author);
    const second = mutationOf(author, { dependsOn: [first.mutationId] });
    const outcomes = await rig.push(author, [second, first]);
    expect(outcomes.map(({ status }) => status)).toEqual(['applied', 'applied']);
    expect(rig.owner.requests.map((request) => request.map(({ mutationId }) => mutationId))).toEqual([
      [first.mutationId],
      [second.mutationId],
    ]);
  });
});
