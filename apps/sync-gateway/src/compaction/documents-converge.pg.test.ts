import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { DocumentPool } from '@sync/documents/node';
import type { TestDatabase } from '@sync/postgres/testing';
import type { RemoteDelta } from '@sync/protocol';
import { createLogger } from '@sync/service-kit';
import fc from 'fast-check';
import type { CursorPosition } from '../pull/cursor-token.ts';
import { type PageRow, readPull } from '../pull/pull-store.ts';
import { digestOf } from '../testing/digest-of.ts';
import { gatewayDatabase } from '../testing/gateway-rig.ts';
import { TestDocument, textOfUpdates } from '../testing/test-document.ts';
import { TestProjector } from '../testing/test-projector.ts';
import { CompactDocuments } from './compact-documents.ts';

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

type Step =
  | {
      readonly kind: 'insert' | 'cut' | 'replace' | 'resend' | 'delete';
      readonly id: number;
      readonly at: number;
    }
  | { readonly kind: 'compact'; readonly id: number; readonly meanwhile: readonly Step[] }
  | { readonly kind: 'ingest' | 'epoch' | 'lose' | 'plain' }
  | { readonly kind: 'pull'; readonly limit: number; readonly arrives: boolean };

const id = fc.integer({ min: 0, max: 1 });
const at = fc.integer({ min: 0, max: 30 });
const change = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constantFrom('insert' as const, 'cut' as const), id, at }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('replace' as const, 'resend' as const, 'delete' as const),
      id,
      at,
    }),
  },
  { weight: 4, arbitrary: fc.constant({ kind: 'ingest' as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('epoch' as const, 'plain' as const) }) },
);
const pull = fc.record({
  kind: fc.constant('pull' as const),
  limit: fc.integer({ min: 1, max: 4 }),
  arrives: fc.integer({ min: 0, max: 4 }).map((chance) => chance > 0),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: change },
  { weight: 5, arbitrary: pull },
  { weight: 1, arbitrary: fc.constant({ kind: 'lose' as const }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('compact' as const),
      id,
      meanwhile: fc.array(fc.oneof(change, pull), { maxLength: 4 }),
    }),
  },
);

interface Held {
  readonly epoch: unknown;
  readonly updates: string[];
  readonly delta: RemoteDelta;
}

/** Two documents in a scope, what compacts them, and a device that follows. */
class Run {
  readonly #projector = new TestProjector();
  readonly #device = { tenantId: 't1', userId: `u-${randomUUID()}`, deviceId: 'd1' };
  readonly #scope = `user:${this.#device.userId}`;
  readonly #documents = new Map<number, TestDocument>();
  readonly #epochs = new Map<number, number>();
  readonly #held = new Map<string, Held>();
  #position: CursorPosition | null = null;
  #scopeEpoch = 1;

  async take(each: Step): Promise<void> {
    switch (each.kind) {
      case 'insert':
      case 'cut':
      case 'replace':
      case 'resend':
      case 'delete':
        this.#change(each.kind, each.id, each.at);
        return;
      case 'plain':
        this.#projector.put('t1', this.#scope, 'plain');
        return;
      case 'ingest':
        await this.#projector.ingest(test.database);
        return;
      case 'epoch':
        await this.#projector.ingest(test.database);
        this.#scopeEpoch += 1;
        this.#projector.newEpoch('t1', this.#scope, `e${this.#scopeEpoch}`).put('t1', this.#scope, 'plain');
        for (const known of this.#documents.keys()) this.#change('resend', known, 0);
        return;
      case 'compact':
        await this.#compact(each.id, each.meanwhile);
        return;
      case 'lose':
        this.#held.clear();
        this.#position = null;
        return;
      case 'pull':
        await this.pull(each.limit, each.arrives);
    }
  }

  #change(kind: 'insert' | 'cut' | 'replace' | 'resend' | 'delete', which: number, place: number): void {
    const known = this.#documents.get(which);
    if (kind === 'delete') {
      if (known) this.#projector.document('t1', this.#scope, `doc${which}`, 'whole', null);
      this.#documents.delete(which);
      return;
    }
    const isNew = !known || kind === 'replace';
    const document = isNew ? new TestDocument(`new ${place} `) : known;
    this.#documents.set(which, document);
    if (isNew) this.#epochs.set(which, (this.#epochs.get(which) ?? 0) + 1);
    const data = { epoch: this.#epochs.get(which) };
    const increment = (): string =>
      kind === 'cut' && document.text.length > place
        ? document.delete(place, 2)
        : document.insert(place, `w${place}`);
    const isWhole = isNew || kind === 'resend';
    const update = isWhole ? document.whole : increment();
    this.#projector.document('t1', this.#scope, `doc${which}`, isWhole ? 'whole' : 'increment', update, data);
  }

  async #compact(which: number, meanwhile: readonly Step[]): Promise<void> {
    const run: typeof pool.run = async (kind, input) => {
      for (const each of meanwhile) await this.take(each);
      return pool.run(kind, input);
    };
    const compact = new CompactDocuments({ database: test.database, pool: { run }, logger });
    await compact.compact({
      tenantId: 't1',
      scope: this.#scope,
      entityType: 'note',
      entityId: `doc${which}`,
    });
  }

  async pull(limit: number, arrives: boolean): Promise<PageRow> {
    const asked = [{ scope: this.#scope, token: this.#position && 'token', position: this.#position }];
    const page = (await readPull(test.database, this.#device, asked, limit, 0)).find(
      (row) => row.kind === 'scope',
    );
    if (!page) throw new Error('the own scope is always held');
    const deltas = JSON.parse(`[${page.parts.join(',')}]`) as RemoteDelta[];
    expect([page.item_count, deltas.length <= limit]).toEqual([deltas.length, true]);
    if (page.has_more) expect(deltas).toHaveLength(limit);
    if (!arrives) return page;
    if (page.reason !== null) this.#held.clear();
    for (const delta of deltas) this.#apply(delta);
    this.#position = page;
    if (!page.has_more)
      expect(digestOf([...this.#held.values()].map(({ delta }) => delta))).toEqual({
        count: Number(page.live_count),
        hash: page.hash,
      });
    return page;
  }

  #apply(delta: RemoteDelta): void {
    const known = this.#held.get(delta.entityId);
    this.#held.delete(delta.entityId);
    if (delta.op === 'delete') return;
    const epoch = delta.data?.['epoch'];
    const before = known && known.epoch === epoch ? known.updates : [];
    this.#held.set(delta.entityId, {
      epoch,
      delta,
      updates: [...before, ...(delta.update ? [delta.update] : [])],
    });
  }

  /** At the end the device has every document as its owner has it. */
  async settle(): Promise<void> {
    await this.#projector.ingest(test.database);
    for (let page = await this.pull(3, true); page.has_more;) page = await this.pull(3, true);
    const texts = [...this.#held].filter(([name]) => name !== 'plain');
    const owned = [...this.#documents].map(([which, document]): [string, string] => [
      `doc${which}`,
      document.text,
    ]);
    expect(new Map(texts.map(([name, { updates }]) => [name, textOfUpdates(updates)]))).toEqual(
      new Map(owned),
    );
  }
}

it('gives a device the documents that their owners have, in whatever order increments, compactions and cursors come', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 50 }), async (steps) => {
      const run = new Run();
      for (const each of steps) await run.take(each);
      await run.settle();
    }),
    { numRuns: 60 },
  );
});
