import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { TestDatabase } from '@sync/postgres/testing';
import type { RemoteDelta } from '@sync/protocol';
import fc from 'fast-check';
import { digestOf } from '../testing/digest-of.ts';
import { gatewayDatabase } from '../testing/gateway-rig.ts';
import { TestProjector } from '../testing/test-projector.ts';
import type { CursorPosition } from './cursor-token.ts';
import { type PageRow, readPull } from './pull-store.ts';

let test: TestDatabase;

beforeAll(async () => {
  test = await gatewayDatabase();
});
afterAll(() => test.drop());

/** What may happen to a scope between two looks, and how a device looks at it. */
type Step =
  | { readonly kind: 'put' | 'delete'; readonly entity: number }
  | { readonly kind: 'ingest' | 'prune' | 'epoch' | 'lose' | 'purge' }
  | { readonly kind: 'pull'; readonly limit: number; readonly arrives: boolean };

const entity = fc.integer({ min: 0, max: 4 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('put' as const), entity }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('delete' as const), entity }) },
  { weight: 5, arbitrary: fc.constant({ kind: 'ingest' as const }) },
  { weight: 3, arbitrary: fc.constant({ kind: 'prune' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'epoch' as const }) },
  { weight: 1, arbitrary: fc.constantFrom({ kind: 'lose' as const }, { kind: 'purge' as const }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('pull' as const),
      limit: fc.integer({ min: 1, max: 4 }),
      // An answer that gets lost on its way: the device asks again from where it was.
      arrives: fc.integer({ min: 0, max: 4 }).map((chance) => chance > 0),
    }),
  },
);

/** A device, a scope and its projector, with a scope of their own for each run. */
class Run {
  readonly #projector = new TestProjector();
  readonly #device = { tenantId: 't1', userId: `u-${randomUUID()}`, deviceId: 'd1' };
  readonly #scope = `user:${this.#device.userId}`;
  readonly #held = new Map<string, RemoteDelta>();
  #position: CursorPosition | null = null;
  #epoch = 1;

  async take(each: Step): Promise<void> {
    switch (each.kind) {
      case 'put':
        this.#projector.put('t1', this.#scope, `n${each.entity}`, { at: this.#epoch });
        return;
      case 'delete':
        this.#projector.delete('t1', this.#scope, `n${each.entity}`);
        return;
      case 'ingest':
        await this.#projector.ingest(test.database);
        return;
      case 'epoch':
        await this.#projector.ingest(test.database);
        this.#epoch += 1;
        this.#projector.newEpoch('t1', this.#scope, `e${this.#epoch}`).put('t1', this.#scope, 'n0');
        return;
      case 'prune':
        await test.database.call('prune_all', `SELECT prune_tombstones('t1', 0, 1000)`, []);
        return;
      case 'lose':
        this.#held.clear();
        this.#position = null;
        return;
      case 'purge':
        // The receipt arrives, but a part of the device goes on with its old cursor.
        await test.database.inTenant('t1', (tx) =>
          tx.query('DELETE FROM device_scope WHERE scope = $1', [this.#scope]),
        );
        return;
      case 'pull':
        await this.pull(each.limit, each.arrives);
    }
  }

  async pull(limit: number, arrives: boolean): Promise<PageRow> {
    const asked = [{ scope: this.#scope, token: this.#position ? 'token' : null, position: this.#position }];
    const rows = await readPull(test.database, this.#device, asked, limit, 0);
    const page = rows.find((row) => row.kind === 'scope');
    if (!page) throw new Error('the own scope is always held');
    expect(page.item_count).toBeLessThanOrEqual(limit);
    if (!page.has_more && page.item_count < limit) expect(page.floor).toBe('0');
    if (!arrives) return page;
    if (page.reason !== null) this.#held.clear();
    for (const delta of JSON.parse(`[${page.parts.join(',')}]`) as RemoteDelta[]) {
      if (delta.op === 'delete') this.#held.delete(delta.entityId);
      else this.#held.set(delta.entityId, delta);
    }
    this.#position = page;
    if (!page.has_more)
      expect(digestOf(this.#held.values())).toEqual({ count: Number(page.live_count), hash: page.hash });
    return page;
  }

  /** At the end the device holds exactly what the projector has live. */
  async settle(): Promise<void> {
    await this.#projector.ingest(test.database);
    let page = await this.pull(3, true);
    while (page.has_more) page = await this.pull(3, true);
    expect(digestOf(this.#held.values())).toEqual(this.#projector.digest('t1', this.#scope));
    const again = await this.pull(3, true);
    expect([again.item_count, again.reason, again.has_more]).toEqual([0, null, false]);
  }
}

it('brings a device to exactly what is there, whatever happens in between', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const run = new Run();
      for (const each of steps) await run.take(each);
      await run.settle();
    }),
    { numRuns: 60 },
  );
});
