import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { TestDatabase } from '@sync/postgres/testing';
import type { RemoteDelta } from '@sync/protocol';
import type { CursorPosition } from '../pull/cursor-token.ts';
import { type PageRow, readPull } from '../pull/pull-store.ts';
import { gatewayDatabase } from '../testing/gateway-rig.ts';
import { TestProjector } from '../testing/test-projector.ts';

let test: TestDatabase;

beforeAll(async () => {
  test = await gatewayDatabase();
});
afterAll(() => test.drop());

/** A user's scope with one document, and its projector. */
class World {
  readonly projector = new TestProjector();
  readonly device = { tenantId: 't1', userId: `u-${randomUUID()}`, deviceId: 'd1' };
  readonly scope = `user:${this.device.userId}`;

  whole(update: string, entityId = 'doc'): this {
    this.projector.document('t1', this.scope, entityId, 'whole', update);
    return this;
  }

  increment(update: string, entityId = 'doc'): this {
    this.projector.document('t1', this.scope, entityId, 'increment', update);
    return this;
  }

  delete(entityId = 'doc'): this {
    this.projector.document('t1', this.scope, entityId, 'whole', null);
    return this;
  }

  ingest(): ReturnType<TestProjector['ingest']> {
    return this.projector.ingest(test.database);
  }

  async pull(position: CursorPosition | null, limit = 500): Promise<PageRow> {
    const asked = [{ scope: this.scope, token: position && 'token', position }];
    const rows = await readPull(test.database, this.device, asked, limit, 0);
    const page = rows.find((row) => row.kind === 'scope');
    if (!page) throw new Error('the own scope is always held');
    return page;
  }

  async parts(): Promise<number> {
    const [row] = await test.database.inTenant('t1', (tx) =>
      tx.query<{ count: number }>(
        'SELECT count(*)::int4 AS count FROM scope_document_part WHERE scope = $1',
        [this.scope],
      ),
    );
    return row?.count ?? 0;
  }
}

/** What a page brings: updates in their order, `-` for a deletion and `.` for what is no document. */
function updatesOf(page: PageRow): string[] {
  const deltas = JSON.parse(`[${page.parts.join(',')}]`) as RemoteDelta[];
  return deltas.map(({ op, update }) => update ?? (op === 'delete' ? '-' : '.'));
}

it('gives the whole document and its increments to a new device, only increments to one that follows', async () => {
  const world = new World();
  await world.whole('base').ingest();
  const before = await world.pull(null);
  await world.increment('one').ingest();
  await world.increment('two').increment('three').ingest();
  expect(updatesOf(await world.pull(before))).toEqual(['one', 'two', 'three']);
  expect(updatesOf(await world.pull(null))).toEqual(['base', 'one', 'two', 'three']);
});

it('counts a document once in the digest, however many parts it has', async () => {
  const world = new World();
  await world.whole('base').increment('one').increment('two').ingest();
  const page = await world.pull(null);
  const { count, hash } = world.projector.digest('t1', world.scope);
  expect([Number(page.live_count), page.hash]).toEqual([1, hash]);
  expect(count).toBe(1);
});

it('cuts pages exactly and skips nothing, among entities that are no documents', async () => {
  const world = new World();
  world.whole('a0', 'a');
  world.projector.put('t1', world.scope, 'plain');
  world.increment('a1', 'a').whole('b0', 'b').increment('b1', 'b').increment('a2', 'a');
  await world.ingest();
  const seen: string[][] = [];
  let page = await world.pull(null, 2);
  for (; page.has_more; page = await world.pull(page, 2)) seen.push(updatesOf(page));
  seen.push(updatesOf(page));
  expect(seen).toEqual([
    ['a0', '.'],
    ['a1', 'b0'],
    ['b1', 'a2'],
  ]);
  const bytes = (
    await readPull(
      test.database,
      world.device,
      [{ scope: world.scope, token: null, position: null }],
      500,
      0,
      page.parts.join(',').length,
    )
  ).find((row) => row.kind === 'scope');
  expect(bytes).toMatchObject({ item_count: 2, has_more: true });
});

it('forgets the parts when a whole document, a deletion or a new epoch comes', async () => {
  const world = new World();
  await world.whole('base').increment('one').increment('two').ingest();
  const before = await world.pull(null);
  await world.increment('three').whole('new').increment('four').ingest();
  expect(updatesOf(await world.pull(before))).toEqual(['new', 'four']);
  expect(await world.parts()).toBe(1);
  await world.increment('five').delete().ingest();
  expect(updatesOf(await world.pull(before))).toEqual(['-']);
  expect(await world.parts()).toBe(0);
  await world.whole('again').increment('six').ingest();
  expect(updatesOf(await world.pull(null))).toEqual(['again', 'six']);
  world.projector.newEpoch('t1', world.scope, 'e2');
  await world.whole('rebuilt').ingest();
  const page = await world.pull(before);
  expect([page.reason, updatesOf(page)]).toEqual(['epoch', ['rebuilt']]);
  expect(await world.parts()).toBe(0);
});

it('changes nothing when an older message comes again', async () => {
  const world = new World();
  await world.whole('base').ingest();
  const message = world.increment('one').increment('two').projector.message();
  await world.projector.ingest(test.database, [message]);
  await world.increment('three').ingest();
  await world.projector.ingest(test.database, [message]);
  expect(updatesOf(await world.pull(null))).toEqual(['base', 'one', 'two', 'three']);
});

it('tells which document ought to be compacted', async () => {
  const world = new World();
  const due = async (): Promise<string[]> =>
    (await world.ingest()).filter(({ kind }) => kind === 'document').map(({ name }) => name);
  for (let at = 0; at < 63; at += 1) world.increment(`${at}`);
  expect(await due()).toEqual([]);
  world.whole('base');
  for (let at = 0; at < 64; at += 1) world.increment(`${at}`);
  expect(await due()).toEqual([]);
  const address = { scope: world.scope, entityType: 'note', entityId: 'doc' };
  expect((await (world.increment('last'), due())).map((text): unknown => JSON.parse(text))).toEqual([
    address,
  ]);
  expect(await (world.whole('base'), due())).toEqual([]);
  world.increment('x'.repeat(300_000)).increment('y');
  expect(await due()).toHaveLength(1);
});
