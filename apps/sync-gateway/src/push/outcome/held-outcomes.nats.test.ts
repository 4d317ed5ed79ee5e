import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Outcome } from '@sync/protocol';
import { readPull } from '../../pull/pull-store.ts';
import { mutationOf, newAuthor, type PushRig, startPushRig } from '../testing/push-rig.ts';
import type { Author } from './settlement.ts';

/** Outcomes that were stored earlier than they are told. */
let rig: PushRig;
beforeAll(async () => {
  rig = await startPushRig();
  rig.owner.projectsAtOnce = true;
});
afterAll(() => rig.stop());

async function pulled(author: Author): Promise<Outcome[]> {
  const rows = await readPull(rig.test.database, author, [], 1, 0);
  const texts = rows.flatMap((row) => (row.kind === 'outcomes' ? (row.items ?? []) : []));
  return JSON.parse(`[${texts.join(',')}]`) as Outcome[];
}

async function grant({ tenantId, userId }: Author, scope: string, granted: boolean): Promise<void> {
  await rig.test.database.inTenant(tenantId, (tx) =>
    tx.query(
      `INSERT INTO scope_grant (tenant_id, user_id, scope, source_type, source_id, granted, revision,
         ingest_partition, ingest_number)
       VALUES ($1, $2, $3, 'enrollment', 'e', $4, 1, 0, 0)
       ON CONFLICT (tenant_id, user_id, scope, source_type, source_id)
         DO UPDATE SET granted = excluded.granted`,
      [tenantId, userId, scope, granted],
    ),
  );
}

/** Puts an entity of this size into the read model. */
async function project({ tenantId }: Author, scope: string, revision: number, body: string): Promise<void> {
  const clock = { 's:learning': revision };
  const committedAt = '2026-11-30T00:00:00.000Z';
  const entity = { entityType: 'progress', entityId: 'e', op: 'put', clock, schemaVersion: 1, committedAt };
  const wire = { ...entity, data: { body } };
  await rig.test.database.inTenant(tenantId, (tx) =>
    tx.query(
      `INSERT INTO scope_delta (tenant_id, scope, entity_type, entity_id, sequence, revision, deleted, clock,
         wire)
       VALUES ($1, $2, 'progress', 'e', $3, $3, false, $4, $5)
       ON CONFLICT (tenant_id, scope, entity_type, entity_id) DO UPDATE SET sequence = excluded.sequence,
         revision = excluded.revision, clock = excluded.clock, wire = excluded.wire`,
      [tenantId, scope, revision, JSON.stringify(clock), JSON.stringify(wire)],
    ),
  );
}

it.each(['pulled', 'answered again'])(
  'show an entity that grew between them each as they did: %s',
  async (how) => {
    const author = newAuthor();
    const { tenantId, userId } = author;
    const put = mutationOf(author, { data: { userId, body: 'small' } });
    const { entityId } = put;
    await rig.push(author, [put]);
    const first = mutationOf(author, { entityId, op: 'append' });
    await rig.push(author, [first]);
    await rig.owner.change(tenantId, 'progress', entityId, { userId, body: 'x'.repeat(300_000) });
    const second = mutationOf(author, { entityId, op: 'append' });
    const grown = { clock: { 's:learning': 1 } };
    expect(await rig.push(author, [second])).toMatchObject([{ status: 'rejected', current: grown }]);
    const told = how === 'pulled' ? await pulled(author) : await rig.push(author, [first, second]);
    const byId = new Map(told.map((one) => [one.mutationId, one]));
    const outcome = byId.get(second.mutationId);
    expect(outcome?.current ?? byId.get(outcome?.currentOf ?? '')?.current).toMatchObject(grown);
  },
);

it('show nothing of a withdrawn scope, also where another user of the device holds it', async () => {
  const gone = newAuthor();
  const stays = { ...gone, userId: `${gone.userId}-2` };
  const scope = 'course:c1';
  for (const author of [gone, stays]) await grant(author, scope, true);
  await project(gone, scope, 1, `old ${'x'.repeat(5_000)}`);
  const refused = mutationOf(gone, { scope, entityId: 'e', op: 'append' });
  const [first] = await rig.push(gone, [refused]);
  await grant(gone, scope, false);
  await project(gone, scope, 2, `secret ${'x'.repeat(5_000)}`);
  const [others] = await rig.push(stays, [mutationOf(stays, { scope, entityId: 'e', op: 'append' })]);
  for (const outcome of [first, others]) expect(outcome).toMatchObject({ current: { entityId: 'e' } });
  expect(JSON.stringify(others)).toContain('secret');
  for (const told of [await rig.push(gone, [refused]), await pulled(gone)]) {
    expect(told).toMatchObject([{ status: 'rejected' }]);
    expect(told[0]?.current).toEqual({
      entityType: 'progress',
      entityId: 'e',
      op: 'delete',
      clock: {},
      schemaVersion: 1,
      committedAt: expect.any(String),
      data: null,
    });
  }
  await grant(gone, scope, true);
  expect(JSON.stringify(await rig.push(gone, [refused]))).toContain('secret');
});

it('answer a refusal out of sight the same when its scope is held again and the read model late', async () => {
  const author = newAuthor();
  const { entityId } = mutationOf(author);
  const data = { userId: author.userId, percent: 1 };
  const scope = 'course:c2';
  const refused = mutationOf(author, { scope, entityId, op: 'patch', data });
  const first = await rig.push(author, [refused]);
  expect(first).toMatchObject([{ code: 'scope_not_held', current: { op: 'delete', clock: {} } }]);
  await grant(author, scope, true);
  rig.owner.projectsAtOnce = false;
  const put = mutationOf(author, { scope, entityId, data });
  expect(await rig.push(author, [put])).toMatchObject([{ status: 'applied' }]);
  expect(await rig.push(author, [refused])).toEqual(first.map((outcome) => ({ ...outcome, scope })));
  rig.owner.projectsAtOnce = true;
});

it.each([
  ['in the outcome', 'AAAA'],
  ['beside it', 'A'.repeat(8_000)],
])('never show what a document holds: kept %s', async (_where, body) => {
  const author = newAuthor();
  const { tenantId, userId } = author;
  const entityId = `doc-${author.deviceId}`;
  await rig.owner.change(tenantId, 'document', entityId, { userId, title: 'Dosage', body });
  const document = { entityType: 'document', entityId };
  const merge = mutationOf(author, { ...document, op: 'merge', update: 'AAAA', data: null, baseClock: {} });
  const refused = mutationOf(author, { ...document, op: 'append' });
  const told = [await rig.push(author, [merge, refused])];
  await rig.test.database.inTenant(tenantId, async (tx) => {
    const before = `'"}}}$', '"},"update":"${body}"}}'`;
    await tx.query(`UPDATE mutation SET outcome = regexp_replace(outcome, ${before}) WHERE NOT shows`);
    await tx.query(`UPDATE shown_entity SET wire = left(wire, -1) || ',"update":"${body}"}'`);
  });
  told.push(await pulled(author), await rig.push(author, [merge, refused]));
  const current = { ...document, op: 'merge', data: { userId, title: 'Dosage' } };
  for (const outcomes of told) {
    // A pull has them in the order in which they ended.
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['merged', 'rejected']);
    for (const outcome of outcomes) {
      const shown = outcome.current ?? outcomes.find((one) => one.mutationId === outcome.currentOf)?.current;
      expect(shown).toMatchObject(current);
      expect(Object.keys(shown ?? {})).not.toContain('update');
    }
  }
});
