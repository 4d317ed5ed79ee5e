import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ConflictSeen, LocalMutation, Outcome } from '@sync/protocol';
import { readPull } from '../pull/pull-store.ts';
import type { Author } from './outcome/settlement.ts';
import { mutationOf, newAuthor, type PushRig, startPushRig } from './testing/push-rig.ts';

let rig: PushRig;
beforeAll(async () => {
  rig = await startPushRig();
});
afterAll(() => rig.stop());

const LARGE = 700_000;
/** Of an answer that shows one entity of this size. */
const ONE_SHOWN = LARGE + 50_000;
const MIB = 1024 * 1024;

interface Answer {
  readonly outcomes: Outcome[];
  readonly bytes: number;
}

const answerOf = (text: string): Answer => ({
  outcomes: JSON.parse(`[${text}]`) as Outcome[],
  bytes: Buffer.byteLength(text),
});

async function push(author: Author, mutations: readonly object[]): Promise<Answer> {
  return answerOf((await rig.pushTexts(author, mutations)).join(','));
}

/** The outcomes of a pull. */
async function pull(author: Author): Promise<Answer> {
  const rows = await readPull(rig.test.database, author, [], 1, 0);
  return answerOf(rows.flatMap((row) => (row.kind === 'outcomes' ? (row.items ?? []) : [])).join(','));
}

async function ack({ tenantId }: Author, outcomes: readonly Outcome[]): Promise<void> {
  await rig.test.database.inTenant(tenantId, (tx) =>
    tx.query('UPDATE mutation SET acked_at = now() WHERE mutation_id = ANY ($1)', [
      outcomes.map(({ mutationId }) => mutationId),
    ]),
  );
}

async function bytesOf({ tenantId }: Author, table: string, column: string): Promise<number> {
  const rows = await rig.test.database.inTenant(tenantId, (tx) =>
    tx.query<{ bytes: number }>(`SELECT sum(octet_length(${column}))::int4 AS bytes FROM ${table}`),
  );
  return rows[0]?.bytes ?? 0;
}

/** Why mutations of the device are still open. */
async function waitsFor({ tenantId, deviceId }: Author): Promise<(string | null)[]> {
  const rows = await rig.test.database.inTenant(tenantId, (tx) =>
    tx.query<{ reason: string | null }>(
      'SELECT last_error AS reason FROM mutation WHERE device_id = $1 AND terminal_at IS NULL',
      [deviceId],
    ),
  );
  return rows.map(({ reason }) => reason);
}

/** An entity of 700 KB that is in the author's scope. */
async function largeEntity(
  { tenantId, userId, deviceId }: Author,
  name: string,
  type = 'progress',
): Promise<string> {
  const entityId = `${name}-${deviceId}`;
  await rig.owner.change(tenantId, type, entityId, { userId, body: 'b'.repeat(LARGE), text: 'first' });
  return entityId;
}

/** Patches that the owner refuses, or nobody can read. */
function refusedOf(author: Author, entityId: string, count: number, change: object): LocalMutation[] {
  return Array.from({ length: count }, () =>
    mutationOf(author, {
      entityId,
      op: 'patch',
      baseClock: { 's:learning': 1 },
      data: { text: 'ok' },
      ...change,
    }),
  );
}

const showing = ({ outcomes }: Answer): Outcome[] => outcomes.filter(({ current }) => current);

describe.each([
  ['by its schema', { occurredAt: 'yesterday' }],
  ['by its owner', { data: { text: 'forbidden' } }],
])('40 changes of one entity of 700 KB that are refused %s', (_by, change) => {
  it('show it once: in the push, in pulls, when they come again, and in the ledger', async () => {
    const author = newAuthor();
    const entityId = await largeEntity(author, 'one');
    const mutations = refusedOf(author, entityId, 40, change);
    const first = await push(author, mutations);
    const carrier = mutations[0]?.mutationId;
    const others = mutations.slice(1).map(() => carrier);
    for (const answer of [first, await pull(author), await push(author, mutations)]) {
      expect(answer.outcomes.map(({ mutationId }) => mutationId)).toHaveLength(40);
      expect(new Set(answer.outcomes.map(({ status }) => status))).toEqual(new Set(['rejected']));
      expect(showing(answer)).toHaveLength(1);
      expect(answer.bytes).toBeLessThan(ONE_SHOWN);
      const carriers = new Set(answer.outcomes.flatMap(({ currentOf }) => currentOf ?? []));
      expect([...carriers]).toEqual([showing(answer)[0]?.mutationId]);
    }
    expect(first.outcomes.slice(1).map(({ currentOf }) => currentOf)).toEqual(others);
    expect(await bytesOf(author, 'mutation', 'outcome')).toBeLessThan(40 * 1_000);
    expect(await bytesOf(author, 'shown_entity', 'wire')).toBeLessThan(ONE_SHOWN);
  });
});

it('shows a later state to a repetition, once a later outcome has shown it', async () => {
  const author = newAuthor();
  const entityId = await largeEntity(author, 'later');
  const [early, late] = refusedOf(author, entityId, 2, { data: { text: 'forbidden' } });
  await push(author, [early ?? {}]);
  const { tenantId, userId } = author;
  const data = { userId, body: 'b'.repeat(LARGE), text: 'second' };
  await rig.owner.change(tenantId, 'progress', entityId, data);
  await push(author, [late ?? {}]);
  const again = await push(author, [early ?? {}]);
  expect(again.outcomes[0]?.current?.data).toMatchObject({ text: 'second' });
});

it('shows the entity to another device of the user that sends the same again', async () => {
  const author = newAuthor();
  const entityId = await largeEntity(author, 'asked');
  const conflicting = refusedOf(author, entityId, 3, { entityType: 'enrollment', baseClock: {} });
  const { tenantId, userId } = author;
  await rig.owner.change(tenantId, 'enrollment', entityId, { userId, body: 'b'.repeat(LARGE) });
  await push(author, conflicting);
  const other = { ...author, deviceId: `${author.deviceId}-2` };
  for (const answer of [await push(other, conflicting), await pull(other)]) {
    expect(answer.outcomes.map(({ code }) => code)).toEqual([
      'server_changed',
      'server_changed',
      'server_changed',
    ]);
    expect(showing(answer)).toHaveLength(1);
    expect(answer.bytes).toBeLessThan(ONE_SHOWN);
  }
});

it('shows small entities with each outcome, as ever', async () => {
  const author = newAuthor();
  const put = mutationOf(author);
  await push(author, [put]);
  const refused = refusedOf(author, put.entityId, 5, { occurredAt: 'yesterday' });
  expect(showing(await push(author, refused))).toHaveLength(5);
  expect(showing(await pull(author))).toHaveLength(5);
});

it('reads 16 MiB of entities at once, answers 8, and ends the rest with the reasons that it had for them', async () => {
  const author = newAuthor();
  const entityIds: string[] = [];
  for (let place = 0; place < 30; place += 1) entityIds.push(await largeEntity(author, `many${place}`));
  const mutations = entityIds.flatMap((entityId, place) => {
    return refusedOf(
      author,
      entityId,
      1,
      place % 2 ? { occurredAt: 'yesterday' } : { data: { text: 'forbidden' } },
    );
  });
  const first = await push(author, mutations);
  expect(first.bytes).toBeLessThan(9 * MIB);
  expect(showing(first).length).toBeGreaterThan(5);
  expect(await waitsFor(author)).toContain('too_much_at_once');
  const ended = new Map<string, Outcome>();
  while (ended.size < mutations.length) {
    await rig.dispatch(author);
    const { outcomes, bytes } = await pull(author);
    expect(bytes).toBeLessThan(9 * MIB);
    for (const outcome of outcomes) ended.set(outcome.mutationId, outcome);
    await ack(author, outcomes);
  }
  for (const [place, { mutationId, entityId }] of mutations.entries()) {
    const reason =
      place % 2
        ? { code: 'mutation_invalid', message: expect.stringContaining('/occurredAt') }
        : { code: 'forbidden' };
    expect(ended.get(mutationId)).toMatchObject({ status: 'rejected', ...reason, current: { entityId } });
  }
}, 120_000);

it('takes no more than 16 MiB of entities into one run of the dispatcher, and comes to the end of all', async () => {
  const author = newAuthor();
  const entityIds: string[] = [];
  for (let place = 0; place < 30; place += 1) entityIds.push(await largeEntity(author, `due${place}`));
  await rig.owner.stop();
  const data = { text: 'second' };
  const mutations = entityIds.flatMap((entityId) => [
    ...refusedOf(author, entityId, 1, { data }),
    ...refusedOf(author, entityId, 1, { data: { text: 'forbidden' } }),
  ]);
  await push(author, mutations.slice(0, 30));
  await push(author, mutations.slice(30));
  rig.owner.start();
  await rig.nats.flush();
  await rig.makeDue(author);
  const read = (await rig.store.load(author)).map(({ head_wire: wire }) => wire?.length ?? 0);
  expect(read.filter((length) => length > 0).length).toBeGreaterThan(10);
  expect(read.reduce((sum, length) => sum + length)).toBeLessThan(17 * MIB);
  for (let ended = 0; ended < mutations.length;) ended += await rig.dispatch(author);
  expect(rig.owner.applied).toEqual(
    expect.arrayContaining(mutations.filter((one) => one.data === data).map(({ mutationId }) => mutationId)),
  );
}, 120_000);

it.each([
  ['by its schema', { occurredAt: 'yesterday' }],
  ['by its policy', { op: 'append' as const }],
])(
  'asks once for all changes of a run that were refused %s while the read model was behind',
  async (_by, change) => {
    /** @returns how often Postgres was asked in the run that ends them */
    const roundTripsOf = async (count: number): Promise<number> => {
      const author = newAuthor();
      const entityId = await largeEntity(author, 'behind');
      rig.owner.projectsAtOnce = false;
      expect((await push(author, refusedOf(author, entityId, 1, {}))).outcomes).toMatchObject([
        { status: 'applied' },
      ]);
      const { outcomes } = await push(author, refusedOf(author, entityId, count, change));
      expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set(['accepted']));
      await rig.owner.projectAll();
      rig.owner.projectsAtOnce = true;
      await rig.makeDue(author);
      const before = rig.test.database.roundTrips;
      expect(await rig.dispatchDue(author)).toBe(count);
      return rig.test.database.roundTrips - before;
    };
    expect(await roundTripsOf(40)).toBe(await roundTripsOf(1));
  },
);

it('reads no more than 16 MiB of entities for appends whose ids are taken', async () => {
  const author = newAuthor();
  const { tenantId, userId, deviceId } = author;
  const mutations: LocalMutation[] = [];
  for (let place = 0; place < 30; place += 1) {
    const entityId = `taken${place}-${deviceId}`;
    await rig.owner.change(tenantId, 'statement', entityId, { userId, body: 'b'.repeat(LARGE) });
    mutations.push(
      mutationOf(author, { entityType: 'statement', entityId, op: 'append', data: { text: 'other' } }),
    );
  }
  await push(author, mutations);
  expect(await waitsFor(author)).toContain('too_much_at_once');
  const ended = new Map<string, Outcome>();
  while (ended.size < mutations.length) {
    await rig.dispatch(author);
    const { outcomes } = await pull(author);
    for (const outcome of outcomes) ended.set(outcome.mutationId, outcome);
    await ack(author, outcomes);
  }
  for (const { mutationId, entityId } of mutations) {
    expect(ended.get(mutationId)).toMatchObject({ code: 'entity_exists', current: { op: 'put', entityId } });
  }
}, 120_000);

it('shows ids that are used for another change their entity once', async () => {
  const author = newAuthor();
  const entityId = await largeEntity(author, 'reused');
  const mutations = refusedOf(author, entityId, 10, {});
  await push(author, mutations);
  const others = mutations.map((mutation) => ({ ...mutation, data: { text: 'other' } }));
  const answer = await push(author, others);
  expect(new Set(answer.outcomes.map(({ code }) => code))).toEqual(new Set(['mutation_id_reused']));
  expect(showing(answer)).toHaveLength(1);
  expect(answer.bytes).toBeLessThan(ONE_SHOWN);
});

describe('40 conflicts about one entity of 700 KB', () => {
  it('keep in their records whole what each wrote, and the entity a few times', async () => {
    const author = newAuthor();
    const entityId = await largeEntity(author, 'records', 'enrollment');
    const mutations = Array.from({ length: 40 }, (_, place) => {
      const data = { text: `mine ${place} ${'m'.repeat(2_000)}` };
      return mutationOf(author, { entityType: 'enrollment', entityId, op: 'patch', data, baseClock: {} });
    });
    const answer = await push(author, mutations);
    expect(answer.bytes).toBeLessThan(ONE_SHOWN);
    const seen = (await rig.syncEvents()).map(({ data }) => data as ConflictSeen);
    const drafts = mutations.map(({ mutationId }) => {
      return seen.find((one) => one.mutationId === mutationId && one.draft)
        ?.draft as Partial<LocalMutation> & {
        theirs: object;
      };
    });
    expect(drafts.map(({ theirs }) => theirs)).toEqual(mutations.map(({ data }) => data));
    expect(JSON.stringify(drafts).length).toBeLessThan(5 * MIB);
  });

  it('keep the values that were overwritten, all of them', async () => {
    const author = newAuthor();
    const { tenantId, userId } = author;
    const entityId = await largeEntity(author, 'overwritten');
    await rig.owner.change(tenantId, 'progress', entityId, {
      userId,
      body: 'c'.repeat(LARGE),
      text: 'second',
    });
    const mutations = Array.from({ length: 40 }, (_, place) => {
      const data = { text: `mine ${place}` };
      const baseClock = { 's:learning': 1, [`d:${author.deviceId}`]: place };
      return mutationOf(author, { entityId, op: 'patch', data, baseClock });
    });
    const answer = await push(author, mutations);
    expect(answer.bytes).toBeLessThan(ONE_SHOWN + LARGE);
    expect(showing(answer).length).toBeLessThanOrEqual(1);
    const recorded = answer.outcomes.filter(({ conflictId }) => conflictId);
    const seen = (await rig.syncEvents()).map(({ data }) => data as ConflictSeen);
    for (const { conflictId } of recorded) {
      const draft = seen.find((one) => one.conflictId === conflictId)?.draft as { ours: object };
      expect(draft.ours).toHaveProperty('text');
    }
    expect(recorded.length).toBeGreaterThan(0);
  });
});
