import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { sqlStateOf } from '@sync/postgres';
import type { TestDatabase } from '@sync/postgres/testing';
import { gatewayDatabase } from '../../testing/gateway-rig.ts';
import { type Author, postponed, type Settlement } from '../outcome/settlement.ts';
import { type Prepared, prepareMutation } from '../prepare/prepare-mutation.ts';
import { completePushes } from './complete-pushes.ts';
import { completionEvents } from './completion-events.ts';
import { type Completed, completionOf } from './completion.ts';
import { LedgerStore, SENT_TWICE } from './ledger-store.ts';
import type { Received } from './receive-pushes.ts';

/** What becomes of a push between its first and its last round trip, see database/received-push.ts. */
let test: TestDatabase;
let ledger: LedgerStore;
let completing: ReturnType<typeof completePushes>;
beforeAll(async () => {
  test = await gatewayDatabase(4);
  ledger = new LedgerStore(test.database, { visibleMs: 60_000, maxOpen: 100 });
  completing = completePushes(test.database);
});
afterAll(() => test.drop());

const APPLIED: Settlement = { kind: 'settled', status: 'applied', clock: { 'd:x': 1 } };

function newAuthor(): Author {
  return { tenantId: 'acme', userId: 'ada', deviceId: randomUUID() };
}

function mutationsOf({ userId, deviceId }: Author, count = 3): Prepared[] {
  return Array.from({ length: count }, (_, index) => {
    const mutation = {
      ...{ mutationId: randomUUID(), sequence: index + 1, scope: 'user:ada', entityType: 'note' },
      ...{ entityId: `n-${randomUUID()}`, op: 'put', data: { text: 'é, "}' }, baseClock: {} },
      ...{ occurredAt: new Date(0).toISOString(), schemaVersion: 1 },
    };
    return prepareMutation(mutation, { userId, deviceId, sentAtMs: null, serverNowMs: 0 }, false);
  });
}

function receive(
  author: Author,
  mutations: readonly Prepared[],
  dependencies: readonly string[] = [],
): Promise<Received[]> {
  const depending = mutations.map((one): Prepared => {
    return one.mutation ? { ...one, mutation: { ...one.mutation, dependsOn: [...dependencies] } } : one;
  });
  return ledger.receive(author, depending, () => true);
}

function complete(
  author: Author,
  mutations: readonly Prepared[],
  settlementOf: (place: number) => Settlement = () => APPLIED,
): Promise<ReadonlyMap<string, string | null>> {
  const completed = mutations.map(({ mutationId, address }, place): Completed => {
    return {
      mutationId,
      address,
      counter: 1,
      attempt: 0,
      fresh: true,
      delayMs: 500,
      settlement: settlementOf(place),
    };
  });
  const events = completionEvents(author, completed, new Date(0).toISOString(), false);
  return completing.do(completionOf(author, completed, events));
}

function decide(
  { tenantId, deviceId }: Author,
  decisions: Readonly<Record<string, string>>,
): Promise<unknown> {
  return test.database.call('push_decided', 'SELECT push_decided($1, $2, $3, $4)', [
    ...[tenantId, deviceId, Object.keys(decisions), Object.values(decisions).join('\n')],
  ]);
}

interface LedgerRow {
  readonly mutation_id: string;
  readonly status: string;
  readonly payload: string | null;
  readonly decision: string | null;
  readonly may_be_sent: boolean;
}

function ledgerOf({ tenantId, deviceId }: Author): Promise<LedgerRow[]> {
  return test.database.inTenant(tenantId, (tx) =>
    tx.query<LedgerRow>(
      `SELECT mutation_id, status, payload, decision, may_be_sent FROM mutation WHERE device_id = $1 ORDER BY arrival`,
      [deviceId],
    ),
  );
}

async function waitsInQueue({ deviceId }: Author): Promise<boolean> {
  return (
    (await test.database.call('queued', 'SELECT FROM dispatch_queue WHERE device_id = $1', [deviceId]))
      .length > 0
  );
}

/** As when another push of the device comes meanwhile, to this replica or another. */
async function spread(author: Author): Promise<void> {
  await receive(author, mutationsOf(author, 1));
}

describe('a received push', () => {
  it('waits in the queue with what stays open, also when another completion has taken the device out of it', async () => {
    const author = newAuthor();
    const mutations = mutationsOf(author);
    await receive(author, mutations);
    await test.database.call('unqueue', 'DELETE FROM dispatch_queue WHERE device_id = $1', [author.deviceId]);
    await complete(author, mutations, () => postponed('owner_unavailable'));
    expect(await waitsInQueue(author)).toBe(true);
  });

  it('comes into the ledger once, with its outcomes, and leaves the queue', async () => {
    const author = newAuthor();
    const mutations = mutationsOf(author);
    expect((await receive(author, mutations)).map(({ verdict }) => verdict)).toEqual(['new', 'new', 'new']);
    expect(await ledgerOf(author)).toEqual([]);
    expect(await waitsInQueue(author)).toBe(true);
    expect(await complete(author, mutations)).toEqual(new Map());
    expect(await ledgerOf(author)).toEqual(
      mutations.map(({ mutationId }) =>
        expect.objectContaining({ mutation_id: mutationId, status: 'applied', payload: null }),
      ),
    );
    expect(await waitsInQueue(author)).toBe(false);
    const again = await receive(author, mutations);
    expect(again.map(({ verdict, outcome }) => [verdict, outcome])).toEqual(
      mutations.map(({ mutationId }) => [
        'answered',
        `{"mutationId":"${mutationId}","status":"applied","clock":{"d:x":1}}`,
      ]),
    );
  });

  it('keeps what stays open with its payload, for the dispatcher', async () => {
    const author = newAuthor();
    const mutations = mutationsOf(author);
    await receive(author, mutations);
    await complete(author, mutations, (place) => (place === 1 ? postponed('owner_unavailable') : APPLIED));
    const [, open] = await ledgerOf(author);
    expect(open).toMatchObject({ status: 'accepted', payload: mutations[1]?.payload, may_be_sent: false });
    expect(await waitsInQueue(author)).toBe(true);
  });

  it('is open mutations for another push of the device, and ends as they do', async () => {
    const author = newAuthor();
    const mutations = mutationsOf(author);
    await receive(author, mutations);
    expect((await receive(author, mutations)).map(({ verdict }) => verdict)).toEqual([
      'pending',
      'pending',
      'pending',
    ]);
    expect(await ledgerOf(author)).toEqual(
      mutations.map(({ payload }) =>
        expect.objectContaining({ status: 'pending', payload, may_be_sent: true }),
      ),
    );
    expect(await complete(author, mutations)).toEqual(new Map());
    expect((await ledgerOf(author)).map(({ status }) => status)).toEqual(['applied', 'applied', 'applied']);
  });

  it('left by a crash is loaded by the dispatcher when it is due', async () => {
    const author = newAuthor();
    const mutations = mutationsOf(author);
    await receive(author, mutations);
    const load = (): Promise<{ mutation_id: string; payload: string }[]> =>
      test.database.call(
        'load',
        'SELECT mutation_id, payload FROM dispatch_load($1, $2, 1000, 100, 1000000)',
        [...[author.tenantId, author.deviceId]],
      );
    expect(await load()).toEqual([]);
    await test.database.inTenant(author.tenantId, (tx) =>
      tx.query(`UPDATE mutation SET next_attempt_at = now() WHERE device_id = $1`, [author.deviceId]),
    );
    expect(await load()).toEqual(
      mutations.map(({ mutationId, payload }) => ({ mutation_id: mutationId, payload })),
    );
  });

  it('keeps the last decision of each mutation when it is spread, and after that', async () => {
    const author = newAuthor();
    const mutations = mutationsOf(author);
    const [a = '', b = '', c = ''] = mutations.map(({ mutationId }) => mutationId);
    await receive(author, mutations);
    await decide(author, { [a]: '{"n":1}', [b]: '{"n":1}' });
    await decide(author, { [b]: '{"n":2}' });
    await spread(author);
    await decide(author, { [c]: '{"n":3}' });
    expect((await ledgerOf(author)).slice(0, 3).map(({ decision }) => decision)).toEqual([
      '{"n":1}',
      '{"n":2}',
      '{"n":3}',
    ]);
  });

  it('keeps the decision of what stays open', async () => {
    const author = newAuthor();
    const mutations = mutationsOf(author);
    await receive(author, mutations);
    await decide(author, { [mutations[0]?.mutationId ?? '']: '{"n":1}' });
    await complete(author, mutations, (place) =>
      place === 0 ? postponed('owner_unanswered', true) : APPLIED,
    );
    expect((await ledgerOf(author)).map(({ status, decision }) => [status, decision])).toEqual([
      ['accepted', '{"n":1}'],
      ['applied', null],
      ['applied', null],
    ]);
  });

  it('is seen by those of another device of the user that depend on it', async () => {
    const [first, second] = [newAuthor(), newAuthor()];
    const mutations = mutationsOf(first, 1);
    const id = mutations[0]?.mutationId ?? '';
    await receive(first, mutations);
    const dependent = await receive(second, mutationsOf(second, 1), [id]);
    expect(dependent[0]?.dependencies).toEqual({ [id]: 'pending' });
  });

  it('is not entered when another device has meanwhile entered one of its mutations', async () => {
    const [first, second] = [newAuthor(), newAuthor()];
    const mutations = mutationsOf(first);
    await receive(first, mutations);
    await receive(second, mutations.slice(1, 2));
    await complete(second, mutations.slice(1, 2));
    expect(sqlStateOf(await complete(first, mutations).catch((error: unknown) => error))).toBe(SENT_TWICE);
    expect(await ledgerOf(first)).toEqual([]);
    expect((await receive(first, mutations)).map(({ verdict }) => verdict)).toEqual([
      'pending',
      'answered',
      'pending',
    ]);
  });

  it('does not take the outcomes of another one', async () => {
    const author = newAuthor();
    const [late, next] = [mutationsOf(author), mutationsOf(author)];
    await receive(author, late);
    await receive(author, late);
    await complete(author, late);
    await receive(author, next);
    expect([...(await complete(author, late)).values()].every((text) => text?.includes('applied'))).toBe(
      true,
    );
    expect(await ledgerOf(author)).toHaveLength(3);
    expect(await waitsInQueue(author)).toBe(true);
    await complete(author, next);
    expect(await ledgerOf(author)).toHaveLength(6);
  });
});

describe('one id in two sessions at once', () => {
  const REFUSED: Settlement = { kind: 'settled', status: 'rejected', code: 'scope_not_held', current: '{}' };
  const stranger = (): Author => ({ ...newAuthor(), userId: 'bob' });
  const idsOf = async (author: Author): Promise<string[]> =>
    (await ledgerOf(author)).map(({ mutation_id: id }) => id);

  it('is taken from a refusal without effect that came into the ledger first', async () => {
    const [own, other] = [newAuthor(), stranger()];
    const mutations = mutationsOf(own);
    await receive(own, mutations);
    await receive(other, mutations);
    await complete(other, mutations, () => REFUSED);
    expect(await complete(own, mutations)).toEqual(new Map());
    expect((await ledgerOf(own)).map(({ status }) => status)).toEqual(['applied', 'applied', 'applied']);
    expect(await ledgerOf(other)).toEqual([]);
  });

  it('is taken from it by what a crash has left, too', async () => {
    const [own, other] = [newAuthor(), stranger()];
    const mutations = mutationsOf(own);
    await receive(own, mutations);
    await receive(other, mutations);
    await complete(other, mutations, () => REFUSED);
    await spread(own);
    expect((await idsOf(own)).slice(0, 3)).toEqual(mutations.map(({ mutationId }) => mutationId));
  });

  it('leaves a refusal without effect that comes second as it is, and what came with it', async () => {
    const [own, other] = [newAuthor(), stranger()];
    const [mutations, others] = [mutationsOf(own, 1), mutationsOf(other, 1)];
    await receive(other, [...mutations, ...others]);
    await receive(own, mutations);
    await complete(own, mutations);
    const told = await complete(other, [...mutations, ...others], (place) =>
      place === 0 ? REFUSED : APPLIED,
    );
    expect(told).toEqual(new Map());
    expect(await idsOf(other)).toEqual(others.map(({ mutationId }) => mutationId));
    expect((await ledgerOf(own)).map(({ status }) => status)).toEqual(['applied']);
  });

  it('is refused for good only when it is known what the other one came to', async () => {
    const [own, other] = [newAuthor(), stranger()];
    const mutations = mutationsOf(own, 1);
    await receive(other, mutations);
    await spread(other);
    expect(sqlStateOf(await receive(own, mutations).catch((error: unknown) => error))).toBe(SENT_TWICE);
    await complete(other, mutations, () => REFUSED);
    expect((await receive(own, mutations)).map(({ verdict }) => verdict)).toEqual(['new']);
  });

  it.each<[string, (author: Author) => Promise<unknown>]>([
    ['as it came', async () => undefined],
    ['spread meanwhile', spread],
  ])('is answered with no outcome of another change of the same user, %s', async (_how, between) => {
    const [first, second] = [newAuthor(), newAuthor()];
    const [mutation] = mutationsOf(first, 1) as [Prepared];
    const other = { ...mutation, identity: (mutationsOf(second, 1)[0] as Prepared).identity };
    await receive(first, [mutation]);
    await receive(second, [other]);
    await complete(first, [mutation]);
    await between(second);
    expect(await complete(second, [other], () => REFUSED)).toEqual(new Map());
    expect(await idsOf(second)).not.toContain(mutation.mutationId);
  });

  it('is not accepted without being kept', async () => {
    const [first, second] = [newAuthor(), newAuthor()];
    const mutations = mutationsOf(first, 1);
    await receive(first, mutations);
    await receive(second, mutations);
    await complete(first, mutations);
    await spread(second);
    const late = complete(second, mutations, () => postponed('owner_unavailable'));
    expect(sqlStateOf(await late.catch((error: unknown) => error))).toBe(SENT_TWICE);
  });

  it('is told of to the user alone whose it is, however late the other one is', async () => {
    const own = newAuthor();
    const other = { ...own, userId: 'bob' };
    const mutations = mutationsOf(own, 1);
    await receive(other, mutations);
    await spread(other);
    await complete(other, mutations, () => REFUSED);
    await receive(own, mutations);
    await spread(own);
    expect(await complete(other, mutations, () => REFUSED)).toEqual(new Map());
    expect((await ledgerOf(own))[0]).toMatchObject({ status: 'pending' });
    await complete(own, mutations);
    expect(await complete(other, mutations, () => REFUSED)).toEqual(new Map());
    expect([...(await complete(own, mutations)).values()]).toEqual([expect.stringContaining('applied')]);
  });
});
