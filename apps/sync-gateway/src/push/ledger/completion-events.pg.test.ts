import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { ConflictDraft } from '@sync/domain';
import type { SyncEvent } from '@sync/protocol';
import type { TestDatabase } from '@sync/postgres/testing';
import { gatewayDatabase } from '../../testing/gateway-rig.ts';
import type { Author, Settled, Settlement } from '../outcome/settlement.ts';
import { type Prepared, prepareMutation } from '../prepare/prepare-mutation.ts';
import type { Completed } from './completion.ts';
import { LedgerStore } from './ledger-store.ts';

/** What of the events of a completion goes out where somebody else has stored a part of it first. */
let test: TestDatabase;
beforeAll(async () => {
  test = await gatewayDatabase(2);
});
afterAll(() => test.drop());

const APPLIED: Settled = { kind: 'settled', status: 'applied', clock: {}, revision: 1 };
const REJECTED: Settled = { kind: 'settled', status: 'rejected', code: 'forbidden', current: '{}' };
const DRAFT = { decision: 'auto', ours: { n: 5e-324 }, fields: [] } as unknown as ConflictDraft;

function lost(): Settled {
  const conflict = { conflictId: randomUUID(), draft: DRAFT };
  return { kind: 'settled', status: 'superseded', current: '{}', conflict };
}

/** A push that has been received and is seen by others, with a ledger that sends all kinds of events. */
class OpenPush {
  readonly author: Author = { tenantId: 'acme', userId: 'ada', deviceId: randomUUID() };
  readonly mutations: readonly Prepared[];
  readonly #ledger = new LedgerStore(test.database, {
    ...{ visibleMs: 60_000, maxOpen: 100, listsMutations: true },
  });

  private constructor(count: number) {
    const moment = { ...this.author, sentAtMs: null, serverNowMs: 0 };
    this.mutations = Array.from({ length: count }, (_, index) => {
      const mutation = {
        ...{ mutationId: randomUUID(), sequence: index + 1, scope: 'user:ada', entityType: 'note' },
        ...{ entityId: `n${index}`, op: 'put', data: {}, occurredAt: '2026-01-01T00:00:00Z' },
        ...{ baseClock: {}, schemaVersion: 1 },
      };
      return prepareMutation(mutation, moment, false);
    });
  }

  static async of(count: number): Promise<OpenPush> {
    const push = new OpenPush(count);
    const { author, mutations } = push;
    for (let time = 0; time < 2; time += 1) await push.#ledger.receive(author, mutations, () => false);
    return push;
  }

  /** @returns the events that are written, type by type */
  async complete(settlements: readonly Settlement[]): Promise<Pick<SyncEvent, 'type' | 'data'>[]> {
    const completed = settlements.map((settlement, place): Completed => {
      const { mutationId, address } = this.mutations[place] as Prepared;
      return { mutationId, address, counter: 1, attempt: 0, fresh: true, settlement };
    });
    await test.database.call('forget', 'DELETE FROM sync_outbox', []);
    await this.#ledger.complete(this.author, completed, '2026-01-01T00:00:00.000Z');
    const rows = await test.database.call<{ payload: string }>(
      'told',
      'SELECT payload FROM sync_outbox ORDER BY id',
      [],
    );
    const events = rows.flatMap(({ payload }) => JSON.parse(payload) as SyncEvent[]);
    for (const event of events) expect(event).toMatchObject({ specversion: '1.0', tenantid: 'acme' });
    return events.map(({ type, data }) => ({ type, data }));
  }

  entry(place: number): object {
    const { mutationId, address } = this.mutations[place] as Prepared;
    return { mutationId, entityType: address?.entityType, entityId: address?.entityId };
  }
}

describe('a completion of which a part is stored', () => {
  it('counts and lists that part', async () => {
    const push = await OpenPush.of(4);
    await push.complete([APPLIED, REJECTED]);
    expect(await push.complete([REJECTED, APPLIED, APPLIED, REJECTED])).toEqual([
      {
        type: 'sync.push.completed.v1',
        data: {
          counts: { applied: 1, rejected: 1 },
          mutations: [{ ...push.entry(3), status: 'rejected', code: 'forbidden' }],
        },
      },
      {
        type: 'sync.mutation.rejected.v1',
        data: { mutations: [{ ...push.entry(3), status: 'rejected', code: 'forbidden' }] },
      },
      {
        type: 'sync.mutation.applied.v1',
        data: { mutations: [{ ...push.entry(2), status: 'applied' }] },
      },
    ]);
  });

  it('leaves out lists of which nothing is', async () => {
    const push = await OpenPush.of(2);
    await push.complete([APPLIED]);
    expect(await push.complete([REJECTED, APPLIED])).toMatchObject([
      { type: 'sync.push.completed.v1', data: { counts: { applied: 1 }, mutations: [] } },
      { type: 'sync.mutation.applied.v1' },
    ]);
  });

  it('brings the records of that part alone, their values as they are', async () => {
    const push = await OpenPush.of(2);
    await push.complete([APPLIED]);
    const second = lost();
    const events = await push.complete([lost(), second]);
    const records = events.filter(({ type }) => type === 'sync.conflict.resolved.v1');
    expect(records).toMatchObject([{ data: { conflictId: second.conflict?.conflictId, draft: DRAFT } }]);
  });

  it('tells nothing when that is nothing', async () => {
    const push = await OpenPush.of(2);
    await push.complete([APPLIED, REJECTED]);
    expect(await push.complete([lost(), lost()])).toEqual([]);
  });
});
