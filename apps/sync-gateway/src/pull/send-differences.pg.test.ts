import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { encodeStateVector, stateVectorOf } from '@sync/documents';
import { DocumentPool, PoolBusyError } from '@sync/documents/node';
import type { TestDatabase } from '@sync/postgres/testing';
import type { RemoteDelta } from '@sync/protocol';
import { gatewayDatabase } from '../testing/gateway-rig.ts';
import { TestDocument, textOfUpdates } from '../testing/test-document.ts';
import { TestProjector } from '../testing/test-projector.ts';
import { type HeldDocument, type PullRow, readPull } from './pull-store.ts';
import { SendDifferences } from './send-differences.ts';

let test: TestDatabase;
const pool = new DocumentPool();

beforeAll(async () => {
  test = await gatewayDatabase();
});
afterAll(async () => {
  await pool.close();
  await test.drop();
});

const ODD = { text: 'ü \\ \u2028 ,"update":"AAA="}', nested: { n: 1e21 } };

/** A user's scope with a large document, a small one, and what is no document. */
class World {
  readonly projector = new TestProjector();
  readonly device = { tenantId: 't1', userId: `u-${randomUUID()}`, deviceId: 'd1' };
  readonly scope = `user:${this.device.userId}`;
  readonly document = new TestDocument('A page of words that everybody has.\n'.repeat(200));
  /** What the device held when it was last here. */
  readonly before = this.document.whole;

  constructor() {
    this.document.insert(50, 'new words ');
    this.projector
      .put('t1', this.scope, 'plain', ODD)
      .document('t1', this.scope, 'doc', 'whole', this.document.whole, { ...ODD, epoch: 1 })
      .put('t1', this.scope, 'other', ODD);
  }

  held(changes: Partial<HeldDocument> = {}): HeldDocument {
    const stateVector = encodeStateVector(stateVectorOf(Buffer.from(this.before, 'base64')));
    return { entityType: 'note', entityId: 'doc', epoch: 1, stateVector, ...changes };
  }

  /** @returns the texts of the deltas */
  async pull(
    documents?: readonly HeldDocument[],
    run: typeof pool.run = (...given) => pool.run(...given),
    limit = 500,
  ): Promise<string[]> {
    await this.projector.ingest(test.database);
    const asked = [{ scope: this.scope, token: null, position: null, ...(documents && { documents }) }];
    const rows = await readPull(test.database, this.device, asked, limit, 0);
    const sent = await new SendDifferences({ run }).inPages(rows, asked);
    return sent.flatMap((row: PullRow) => (row.kind === 'scope' ? [...row.parts] : []));
  }
}

const deltasOf = (parts: readonly string[]): RemoteDelta[] =>
  JSON.parse(`[${parts.join(',')}]`) as RemoteDelta[];

it('sends what the device lacks, and everything else byte for byte', async () => {
  const world = new World();
  const whole = deltasOf(await world.pull());
  const parts = await world.pull([world.held()]);
  const [plain, document, other] = deltasOf(parts);
  expect([plain, other]).toEqual([whole[0], whole[2]]);
  expect(document).toEqual({ ...whole[1], update: document?.update });
  expect(document?.update?.length).toBeLessThan((whole[1]?.update?.length ?? 0) / 20);
  expect(textOfUpdates([world.before, document?.update ?? ''])).toBe(world.document.text);
  expect(parts.join(',').replace(document?.update ?? '', whole[1]?.update ?? '')).toBe(
    (await world.pull()).join(','),
  );
});

it('takes deletions along, which no state vector shows', async () => {
  const world = new World();
  const update = world.document.delete(0, 20);
  world.projector.document('t1', world.scope, 'doc', 'increment', update, { epoch: 1 });
  const deltas = deltasOf(await world.pull([world.held()]));
  expect(deltas).toHaveLength(4);
  const updates = deltas.flatMap((delta) => delta.update ?? []);
  expect(textOfUpdates([world.before, ...updates])).toBe(world.document.text);
  world.projector.document('t1', world.scope, 'doc', 'whole', world.document.whole, { epoch: 1 });
  const [compacted] = deltasOf(await world.pull([world.held()])).flatMap((delta) => delta.update ?? []);
  expect(compacted?.length).toBeLessThan(200);
  expect(textOfUpdates([world.before, compacted ?? ''])).toBe(world.document.text);
});

it('sends the whole document of another epoch, to a device that holds another, and when nobody can compare', async () => {
  const world = new World();
  const whole = await world.pull();
  const other = { entityId: 'elsewhere' };
  for (const documents of [
    [],
    [world.held({ epoch: 2 })],
    [world.held(other)],
    [world.held({ stateVector: Uint8Array.of(0) })],
  ]) {
    expect((await world.pull(documents)).join(',')).toBe(whole.join(','));
  }
  const busy: typeof pool.run = () => Promise.reject(new PoolBusyError(256));
  expect((await world.pull([world.held()], busy)).join(',')).toBe(whole.join(','));
  world.projector.document('t1', world.scope, 'doc', 'whole', Buffer.alloc(3_000, 255).toString('base64'), {
    epoch: 1,
  });
  const [, , damaged] = deltasOf(await world.pull([world.held()]));
  expect(damaged?.update).toBe(Buffer.alloc(3_000, 255).toString('base64'));
});

it('keeps the limit exactly', async () => {
  const world = new World();
  for (const limit of [1, 2, 3]) {
    expect(await world.pull([world.held()], undefined, limit)).toHaveLength(limit);
  }
});
