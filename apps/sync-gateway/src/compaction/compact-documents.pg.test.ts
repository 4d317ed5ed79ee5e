import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { DocumentPool } from '@sync/documents/node';
import type { TestDatabase } from '@sync/postgres/testing';
import type { RemoteDelta } from '@sync/protocol';
import { createLogger } from '@sync/service-kit';
import type { CursorPosition } from '../pull/cursor-token.ts';
import { type PageRow, readPull } from '../pull/pull-store.ts';
import { gatewayDatabase } from '../testing/gateway-rig.ts';
import { TestDocument, textOfUpdates } from '../testing/test-document.ts';
import { TestProjector } from '../testing/test-projector.ts';
import { CompactDocuments, type CompactionResult } from './compact-documents.ts';
import { findDue } from './compaction-store.ts';

let test: TestDatabase;
const pool = new DocumentPool();
const logger = createLogger({ service: 'test', level: 'silent' });

beforeAll(async () => {
  test = await gatewayDatabase();
});
afterAll(async () => {
  await pool.close();
  await test.drop();
});

/** Documents in a user's scope, and what compacts them; `between` happens while a document is squashed. */
class World {
  readonly projector = new TestProjector();
  readonly device = { tenantId: 't1', userId: `u-${randomUUID()}`, deviceId: 'd1' };
  readonly scope = `user:${this.device.userId}`;
  readonly address = { tenantId: 't1', scope: this.scope, entityType: 'note', entityId: 'doc' };
  readonly results: CompactionResult[] = [];
  between: () => Promise<unknown> = () => Promise.resolve();
  document = new TestDocument('start');
  readonly compact: CompactDocuments;

  constructor() {
    const run: typeof pool.run = async (kind, input) => {
      await this.between();
      return pool.run(kind, input);
    };
    const onResult = (result: CompactionResult): void => void this.results.push(result);
    this.compact = new CompactDocuments({ database: test.database, pool: { run }, logger, onResult });
  }

  whole(update = this.document.whole): this {
    this.projector.document('t1', this.scope, 'doc', 'whole', update);
    return this;
  }

  write(times: number): this {
    for (let at = 0; at < times; at += 1) {
      const update = this.document.insert(at * 3, `${at} `);
      this.projector.document('t1', this.scope, 'doc', 'increment', update);
    }
    return this;
  }

  /** @returns the entity ids that are due */
  async ingest(): Promise<string[]> {
    const changes = await this.projector.ingest(test.database);
    return changes
      .filter(({ kind }) => kind === 'document')
      .map(({ name }) => (JSON.parse(name) as { entityId: string }).entityId);
  }

  async pull(position: CursorPosition | null): Promise<PageRow> {
    const asked = [{ scope: this.scope, token: position && 'token', position }];
    const page = (await readPull(test.database, this.device, asked, 500, 0)).find(
      (row) => row.kind === 'scope',
    );
    if (!page) throw new Error('the own scope is always held');
    return page;
  }

  async parts(): Promise<{ place: number; weight: string }[]> {
    return test.database.inTenant('t1', (tx) =>
      tx.query('SELECT place, weight FROM scope_document_part WHERE scope = $1 ORDER BY sequence', [
        this.scope,
      ]),
    );
  }
}

function updatesOf(page: PageRow): string[] {
  return (JSON.parse(`[${page.parts.join(',')}]`) as RemoteDelta[]).map(({ update }) => update ?? '');
}

it('makes one delta of many, at the place of the last: nobody behind it misses anything', async () => {
  const world = new World();
  await world.whole().ingest();
  const atStart = await world.pull(null);
  await world.write(40).ingest();
  const inBetween = await world.pull(atStart);
  expect(await world.write(40).ingest()).toEqual(['doc']);
  const atEnd = await world.pull(inBetween);
  const last = updatesOf(atEnd).length;
  world.compact.due(world.address);
  await world.compact.idle();
  expect(world.results).toEqual(['compacted']);
  expect(await world.parts()).toEqual([]);
  for (const position of [null, atStart, inBetween]) {
    const page = await world.pull(position);
    expect(page).toMatchObject({ item_count: 1, sequence: atEnd.sequence, hash: atEnd.hash });
    expect(textOfUpdates(updatesOf(page))).toBe(world.document.text);
  }
  expect(await world.pull(atEnd)).toMatchObject({ item_count: 0, reason: null });
  expect(last).toBe(40);
});

it('leaves all but the update of the newest delta byte for byte as it was', async () => {
  const world = new World();
  const odd = { text: 'ü "update":"AAA="} \\ \u2028', number: 1e21 };
  world.projector.document('t1', world.scope, 'doc', 'whole', world.document.whole, odd);
  await world.ingest();
  const last = world.document.insert(0, 'x');
  world.projector.document('t1', world.scope, 'doc', 'increment', last, odd);
  await world.ingest();
  const before = (
    await world.pull(await world.pull(null).then((page) => ({ ...page, sequence: '1' })))
  ).parts.join(',');
  expect(await world.compact.compact(world.address)).toBe('compacted');
  const after = (await world.pull(null)).parts.join(',');
  const [{ update = '' } = {}] = JSON.parse(`[${after}]`) as RemoteDelta[];
  expect(after.replace(update, last)).toBe(before);
});

it('keeps increments that come meanwhile, and counts them from the new whole on', async () => {
  const world = new World();
  await world.whole().write(30).ingest();
  world.between = async () => world.write(2).ingest();
  expect(await world.compact.compact(world.address)).toBe('compacted');
  expect((await world.parts()).map(({ place }) => place)).toEqual([0, 1]);
  const page = await world.pull(null);
  expect([page.item_count, textOfUpdates(updatesOf(page))]).toEqual([3, world.document.text]);
  world.between = () => Promise.resolve();
  expect(await world.write(62).ingest()).toEqual([]);
  expect(await world.write(1).ingest()).toEqual(['doc']);
});

it('changes nothing when a whole document, a deletion or a new epoch came meanwhile', async () => {
  for (const meanwhile of ['whole', 'delete', 'epoch'] as const) {
    const world = new World();
    await world.whole().write(5).ingest();
    world.between = async () => {
      world.document = new TestDocument('another');
      // As many deltas again, so that a new epoch has the same positions.
      if (meanwhile === 'epoch') world.projector.newEpoch('t1', world.scope, 'e2');
      if (meanwhile === 'delete') world.projector.document('t1', world.scope, 'doc', 'whole', null);
      else world.whole().write(5);
      return world.ingest();
    };
    expect(await world.compact.compact(world.address)).toBe('moved');
    const page = await world.pull(null);
    const text = meanwhile === 'delete' ? '' : world.document.text;
    expect([meanwhile, textOfUpdates(updatesOf(page))]).toEqual([meanwhile, text]);
  }
});

it('may be done by two replicas at once', async () => {
  const world = new World();
  await world.whole().write(10).ingest();
  const other = new CompactDocuments({ database: test.database, pool, logger });
  world.between = async () => {
    await world.write(3).ingest();
    await other.compact(world.address);
  };
  expect(await world.compact.compact(world.address)).toBe('moved');
  expect(textOfUpdates(updatesOf(await world.pull(null)))).toBe(world.document.text);
  expect(await world.compact.compact(world.address)).toBe('nothing');
});

it('finds what is due when nobody was told, and leaves alone what cannot be put together', async () => {
  const [world, broken] = [new World(), new World()];
  await world.whole().write(70).ingest();
  const missing = new TestDocument('a');
  missing.insert(1, 'b');
  broken.whole(missing.insert(2, 'c'));
  await broken.write(70).ingest();
  const dueOf = async (): Promise<string[]> =>
    (await findDue(test.database, 100))
      .map(({ scope }) => scope)
      .filter((scope) => [world.scope, broken.scope].includes(scope));
  expect((await dueOf()).sort()).toEqual([world.scope, broken.scope].sort());
  const { compact, results } = world;
  await compact.sweep();
  await compact.idle();
  expect(results.filter((result) => result === 'failed')).toHaveLength(1);
  expect(await dueOf()).toEqual([broken.scope]);
  const before = results.length;
  await compact.sweep();
  await compact.idle();
  // It rests for a while.
  expect(results).toHaveLength(before);
  await compact.stop();
});
