import { createHash, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Database, functionSchemaOf, migrate } from '@sync/postgres';
import { createTestDatabase, startPostgres, type TestDatabase } from '@sync/postgres/testing';
import { type LocalMutation, type Outcome, subjects } from '@sync/protocol';
import { ReceivedSequences1764000001000 } from '../../database/received-sequences.ts';
import { FUNCTIONS, MIGRATIONS } from '../../database/schema.ts';
import { RegistrationEntity } from '../../registration/registration-entity.ts';
import type { Author, KeptDecision } from '../outcome/settlement.ts';
import { type PreparedMutation, prepareMutation } from '../prepare/prepare-mutation.ts';
import { mutationOf, newAuthor, type PushRig, startPushRig } from '../testing/push-rig.ts';
import type { KeptRefusal } from './completion.ts';

/**
 * A ledger as an earlier version left it, with a mutation in every state, is migrated: each then ends as it
 * should. Rows are written as they were then, not by the functions of today.
 */
let rig: PushRig;
let old: TestDatabase;

/** The newest migration that this ledger has; those behind it are the ones that are tried. */
const KNOWN = MIGRATIONS.indexOf(ReceivedSequences1764000001000) + 1;

type Columns = Readonly<Record<string, unknown>>;

/** A device whose rows are there before the migration, and what becomes of it. */
interface Case {
  readonly title: string;
  readonly rows: (author: Author) => readonly Left[];
  /** Its owner has applied these before. */
  readonly appliedBefore?: true;
  /** Comes only now, by a push: what waits in the ledger waits for it. */
  readonly comesNow?: (author: Author) => LocalMutation;
  readonly ends: readonly object[];
}

/** A mutation as it stands in the ledger. */
interface Left {
  readonly mutation: LocalMutation;
  readonly columns: Columns;
  readonly in: 'mutation' | 'received_push';
}

const NOW = new Date();
const days = (count: number): Date => new Date(NOW.getTime() - count * 86_400_000);
const left = (mutation: LocalMutation, columns: Columns = {}): Left => ({
  mutation,
  columns,
  in: 'mutation',
});
const accepted = (mutation: LocalMutation, reason: string, more: Columns = {}): Left =>
  left(mutation, { status: 'accepted', last_error: reason, may_be_sent: false, ...more });

const ENTITY = { entityType: 'progress', op: 'put', clock: { 's:learning': 4 }, schemaVersion: 1 } as const;

/** @param current the entity that it shows */
function outcomeOf({ mutationId, entityId }: LocalMutation, more: object, current = true): object {
  const shown = { ...ENTITY, entityId, committedAt: NOW.toISOString(), data: { percent: 90 } };
  return { mutationId, ...more, ...(current && { current: shown }) };
}

function ended(mutation: LocalMutation, outcome: object, more: Columns = {}): Left {
  const { status } = outcome as Outcome;
  const isApplied = status === 'applied' || status === 'merged';
  const known = isApplied ? { payload: null, revision: 4 } : { counter: 1 };
  return left(mutation, { status, outcome: JSON.stringify(outcome), terminal_at: NOW, ...known, ...more });
}

const MERGED: KeptDecision = { status: 'merged', record: null };

const OPEN: readonly Case[] = [
  {
    title: 'a push that was received and is in nobody’s hands',
    rows: (author) => [received(mutationOf(author)), received(mutationOf(author))],
    ends: [{ status: 'applied' }, { status: 'applied' }],
  },
  {
    title: 'a received push with a decision that its owner has committed',
    rows: (author) => [received(mutationOf(author), { decision: MERGED })],
    appliedBefore: true,
    ends: [{ status: 'merged' }],
  },
  {
    title: 'one that a crash has left',
    rows: (author) => [left(mutationOf(author))],
    ends: [{ status: 'applied' }],
  },
  {
    title: 'one that waits for its owner, and never got there',
    rows: (author) => [accepted(mutationOf(author), 'owner_unavailable', { attempts: 7 })],
    ends: [{ status: 'applied' }],
  },
  {
    title: 'one that its owner has, and did not answer',
    rows: (author) => [accepted(mutationOf(author), 'owner_silent', { may_be_sent: true })],
    appliedBefore: true,
    ends: [{ status: 'applied' }],
  },
  {
    title: 'one that was decided, and committed by its owner',
    rows: (author) => {
      const more = { may_be_sent: true, decision: JSON.stringify(MERGED) };
      return [accepted(mutationOf(author), 'owner_silent', more)];
    },
    appliedBefore: true,
    ends: [{ status: 'merged' }],
  },
  {
    title: 'what waits for an earlier one in its lane',
    rows: (author) => {
      const baseClock = { [`d:${author.deviceId}`]: 1 };
      return [
        accepted(mutationOf(author, { entityId: 'lane' }), 'owner_unavailable'),
        accepted(mutationOf(author, { entityId: 'lane', baseClock }), 'lane_waits'),
      ];
    },
    ends: [{ status: 'applied' }, { status: 'applied' }],
  },
  {
    title: 'what depends on an open one',
    rows: (author) => {
      const first = mutationOf(author);
      const second = mutationOf(author, { dependsOn: [first.mutationId] });
      return [accepted(first, 'owner_unavailable'), accepted(second, 'dependency_waits')];
    },
    ends: [{ status: 'applied' }, { status: 'applied' }],
  },
  {
    title: 'one whose earlier change has not come',
    rows: (author) => {
      const baseClock = { [`d:${author.deviceId}`]: 1 };
      const mutation = mutationOf(author, { entityId: 'late', baseClock });
      return [accepted(mutation, 'earlier_missing', { counter: 2 })];
    },
    comesNow: (author) => mutationOf(author, { entityId: 'late' }),
    ends: [{ status: 'applied' }],
  },
  {
    title: 'one that its owner failed at, and does no longer',
    rows: (author) => {
      const failing = { failures: 3, failing_since: days(1), attempts: 3 };
      return [accepted(mutationOf(author), 'owner_failed', failing)];
    },
    ends: [{ status: 'applied' }],
  },
  {
    title: 'one that its owner has failed at for too long',
    rows: (author) => {
      const mutation = mutationOf(author, { data: { text: 'poison' } });
      return [accepted(mutation, 'owner_failed', { failures: 25, failing_since: days(9), attempts: 25 })];
    },
    ends: [{ status: 'rejected', code: 'owner_failed', conflictId: expect.any(String) }],
  },
  {
    title: 'what matches no schema, and waits for the entity that it shows',
    rows: (author) => {
      const mutation = mutationOf(author);
      const refusal = { code: 'mutation_invalid', message: '/data: nothing' };
      const kept: KeptRefusal = { refusal, address: mutation };
      const more = { payload: null, counter: 1, decision: JSON.stringify(kept) };
      return [accepted(mutation, 'projection_behind', more)];
    },
    ends: [{ status: 'rejected', code: 'mutation_invalid', current: { op: 'delete' } }],
  },
];

/** Of each the outcome that it has had before. */
const ENDED: readonly (readonly [string, (author: Author) => Left & { readonly outcome: object }])[] = [
  ['applied', (author) => withOutcome(author, { status: 'applied', clock: { 's:learning': 4 } }, false)],
  ['merged', (author) => withOutcome(author, { status: 'merged', clock: { 's:learning': 4 } })],
  ['superseded', (author) => withOutcome(author, { status: 'superseded' })],
  [
    'rejected',
    (author) => withOutcome(author, { status: 'rejected', code: 'forbidden', message: 'not yours' }),
  ],
  ['conflict', (author) => withOutcome(author, { status: 'conflict', conflictId: randomUUID() })],
  [
    'a conflict that shows a large entity, which stands beside it',
    (author) => withOutcome(author, { status: 'conflict', conflictId: randomUUID() }, true, { shows: true }),
  ],
  [
    'applied, and acked by its device',
    (author) => withOutcome(author, { status: 'applied', clock: {} }, false, { acked_at: NOW }),
  ],
  [
    'applied, by a release before identities',
    (author) =>
      withOutcome(author, { status: 'applied', clock: {} }, false, { payload_hash: 'of its payload' }),
  ],
];

function withOutcome(
  author: Author,
  more: object,
  current = true,
  columns: Columns = {},
): Left & { readonly outcome: object } {
  const mutation = mutationOf(author);
  const outcome = outcomeOf(mutation, more, current);
  return { ...ended(mutation, outcome, columns), outcome };
}

function received(mutation: LocalMutation, columns: Columns = {}): Left {
  return { mutation, columns, in: 'received_push' };
}

const opened = OPEN.map((one) => {
  const author = newAuthor();
  return { ...one, author, lefts: one.rows(author) };
});
const endedBefore = ENDED.map(([title, make]) => {
  const author = newAuthor();
  return { title, author, left: make(author) };
});

beforeAll(async () => {
  old = await createTestDatabase({
    postgres: await startPostgres(),
    name: 'ledger',
    migrations: MIGRATIONS.slice(0, KNOWN),
    entities: [RegistrationEntity],
  });
  for (const { author, lefts } of opened) await fill(author, lefts);
  for (const { author, left: one } of endedBefore) await fill(author, [one]);
  await old.database.close();
  await migrate({ ownerUrl: old.ownerUrl, migrations: MIGRATIONS, functions: FUNCTIONS });
  const database = await Database.connect({
    url: old.appUrl,
    applicationName: 'migrated',
    functionSchema: functionSchemaOf(FUNCTIONS),
    entities: [RegistrationEntity],
    poolSize: 4,
  });
  rig = await startPushRig({ test: { ...old, database, drop: () => database.close() } });
});
afterAll(async () => {
  await rig.stop();
  await old.drop();
});

async function fill(author: Author, lefts: readonly Left[]): Promise<void> {
  const { tenantId: tenant_id, deviceId: device_id } = author;
  await insert(author, 'known_tenant', { id: tenant_id });
  await insert(author, 'dispatch_queue', { tenant_id, device_id, next_attempt_at: NOW });
  const pushed = lefts.filter((one) => one.in === 'received_push');
  if (pushed.length > 0) await insert(author, 'received_push', pushOf(author, pushed));
  for (const one of lefts) {
    if (one.in === 'mutation') await insert(author, 'mutation', rowOf(author, one));
    if (one.columns['shows'] === true) await insert(author, 'shown_entity', shownOf(author, one));
  }
}

async function insert({ tenantId }: Author, table: string, columns: Columns): Promise<void> {
  const names = Object.keys(columns);
  const places = names.map((_, at) => `$${at + 1}`);
  await old.database.inTenant(tenantId, (tx) =>
    tx.query(`INSERT INTO ${table} (${names.join()}) VALUES (${places.join()})`, Object.values(columns)),
  );
}

function preparedOf(
  { userId, deviceId }: Author,
  mutation: LocalMutation,
): PreparedMutation & { payload: string } {
  const moment = { userId, deviceId, sentAtMs: null, serverNowMs: NOW.getTime() };
  const prepared = prepareMutation({ ...mutation }, moment, false);
  if (!prepared.mutation) throw new Error(prepared.refusal.message);
  return { ...prepared.mutation, payload: prepared.payload };
}

function rowOf(author: Author, { mutation, columns }: Left): Columns {
  const { payload, identity, occurredAtMs, dependsOn } = preparedOf(author, mutation);
  const shownBeside = columns['shows'] === true && {
    outcome: String(columns['outcome']).replace(/,"current":.*/, '}'),
  };
  return {
    ...{ tenant_id: author.tenantId, user_id: author.userId, device_id: author.deviceId },
    ...{ mutation_id: mutation.mutationId, sequence: mutation.sequence, scope: mutation.scope },
    ...{ entity_type: mutation.entityType, entity_id: mutation.entityId, op: mutation.op, payload },
    depends_on: dependsOn.length > 0 ? dependsOn : null,
    ...{ occurred_at: new Date(occurredAtMs), next_attempt_at: NOW },
    ...columns,
    ...shownBeside,
    payload_hash:
      'payload_hash' in columns
        ? createHash('sha256').update(payload).digest()
        : Buffer.from(identity, 'hex'),
  };
}

function pushOf(author: Author, lefts: readonly Left[]): Columns {
  const prepared = lefts.map(({ mutation }) => preparedOf(author, mutation));
  const decided = lefts.filter(({ columns }) => 'decision' in columns);
  return {
    ...{ tenant_id: author.tenantId, user_id: author.userId, device_id: author.deviceId },
    mutation_ids: prepared.map(({ mutationId }) => mutationId),
    hashes: prepared.map(({ identity }) => identity),
    sequences: prepared.map(({ sequence }) => sequence),
    scopes: prepared.map(({ scope }) => scope),
    entity_types: prepared.map(({ entityType }) => entityType),
    entity_ids: prepared.map(({ entityId }) => entityId),
    ops: prepared.map(({ op }) => op),
    occurred_at_ms: prepared.map(({ occurredAtMs }) => occurredAtMs),
    payloads: prepared.map(({ payload }) => payload).join('\n'),
    ...(decided.length > 0 && {
      decided_ids: decided.map(({ mutation }) => mutation.mutationId),
      decisions: decided.map(({ columns }) => JSON.stringify(columns['decision'])).join('\n'),
    }),
    next_attempt_at: NOW,
  };
}

function shownOf({ tenantId, userId, deviceId }: Author, { mutation, columns }: Left): Columns {
  const { current } = JSON.parse(String(columns['outcome'])) as { readonly current: typeof ENTITY };
  return {
    ...{ tenant_id: tenantId, user_id: userId, device_id: deviceId, scope: mutation.scope },
    ...{ entity_type: mutation.entityType, entity_id: mutation.entityId, shown_at: NOW },
    ...{ clock: JSON.stringify(current.clock), wire: JSON.stringify(current) },
  };
}

/** The owner gets them, and its answer is lost. */
async function applyBefore(author: Author, lefts: readonly Left[]): Promise<void> {
  for (const { mutation } of lefts) {
    const { clock } = preparedOf(author, mutation);
    const body = { tenantId: author.tenantId, mutations: [{ ...mutation, clock, expectedRevision: 0 }] };
    await rig.nats.request(subjects.push('learning', mutation.entityType), JSON.stringify(body));
  }
}

describe('after the migration', () => {
  it.each(opened)('ends $title', async ({ author, lefts, appliedBefore, comesNow, ends }) => {
    if (appliedBefore) await applyBefore(author, lefts);
    // It does not wait for what waits for it.
    if (comesNow) expect(await rig.push(author, [comesNow(author)])).toMatchObject([{ status: 'applied' }]);
    // The first run may find that one of them has to wait for another of them.
    for (let run = 0; run < 2; run += 1) await rig.dispatch(author);
    const ids = lefts.map(({ mutation }) => mutation.mutationId);
    const waiting = (await rig.waiting(author)).filter(({ mutationId }) => ids.includes(mutationId));
    expect(waiting).toMatchObject(ends.map((end, at) => ({ mutationId: ids[at], ...end })));
    const isApplied = ends.map((end) => (end as Outcome).status !== 'rejected');
    expect(ids.map((id) => rig.owner.applied.filter((one) => one === id).length > 0)).toEqual(isApplied);
    expect(new Set(rig.owner.applied).size).toBe(rig.owner.applied.length);
    const sent = lefts.filter(({ columns }) => columns['payload'] !== null).map(({ mutation }) => mutation);
    if (sent.length > 0) expect(await rig.push(author, sent)).toMatchObject(waiting);
  });

  it.each(endedBefore)('answers with the outcome that it had: $title', async ({ author, left: one }) => {
    const isAcked = 'acked_at' in one.columns;
    expect(await rig.waiting(author)).toHaveLength(isAcked ? 0 : 1);
    expect(await rig.push(author, [one.mutation])).toEqual([{ ...one.outcome, scope: one.mutation.scope }]);
    expect(rig.owner.applied).not.toContain(one.mutation.mutationId);
  });

  it('does not wait for a change that was refused, where the next one counts it', async () => {
    const refused = endedBefore.find(({ title }) => title === 'rejected');
    if (!refused) throw new Error('nothing was refused');
    const { author, left: one } = refused;
    const next = { entityId: one.mutation.entityId, baseClock: { [`d:${author.deviceId}`]: 1 } };
    expect(await rig.push(author, [mutationOf(author, next)])).toMatchObject([{ status: 'applied' }]);
  });
});
