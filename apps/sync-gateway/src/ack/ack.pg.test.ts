import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { syncEvent } from '@sync/messaging';
import type { TestDatabase } from '@sync/postgres/testing';
import type { SyncEvent } from '@sync/protocol';
import type { CursorPosition } from '../pull/cursor-token.ts';
import { type PageRow, type PullRow, readPull } from '../pull/pull-store.ts';
import { gatewayDatabase } from '../testing/gateway-rig.ts';
import { TestProjector } from '../testing/test-projector.ts';
import { type AckedCursor, type AckInput, type AckRow, AckStore } from './ack-store.ts';

let test: TestDatabase;
let store: AckStore;
const projector = new TestProjector();

beforeAll(async () => {
  test = await gatewayDatabase();
  store = new AckStore(test.database);
});
afterAll(() => test.drop());

interface Device {
  readonly tenantId: string;
  readonly userId: string;
  readonly deviceId: string;
}

const nothing: AckInput = { cursors: [], outcomes: [], purged: [], maxResyncs: 10, partition: 0 };

function ack(device: Device, input: Partial<AckInput>): Promise<readonly AckRow[]> {
  return store.write(device, { ...nothing, ...input });
}

/** A device that has pulled everything of its own scope. */
async function caughtUp(): Promise<{ device: Device; scope: string; page: PageRow }> {
  const userId = `u-${randomUUID()}`;
  const device = { tenantId: 't1', userId, deviceId: `d-${randomUUID()}` };
  const scope = `user:${userId}`;
  projector.put('t1', scope, 'n1').put('t1', scope, 'n2');
  await projector.ingest(test.database);
  return { device, scope, page: await pullFrom(device, scope, null) };
}

async function pullFrom(device: Device, scope: string, position: CursorPosition | null): Promise<PageRow> {
  const asked = [{ scope, token: position ? 'token' : null, position }];
  const rows: PullRow[] = await readPull(test.database, device, asked, 500, 0);
  const page = rows.find((row) => row.kind === 'scope');
  if (!page) throw new Error('the scope is not held');
  return page;
}

function acked(
  page: PageRow,
  digest?: AckedCursor['digest'],
  changes: Partial<CursorPosition> = {},
): AckedCursor {
  return { scope: page.scope, position: { ...page, ...changes }, digest };
}

async function statusOf(device: Device, cursor: AckedCursor): Promise<string | null | undefined> {
  return (await ack(device, { cursors: [cursor] })).find(({ kind }) => kind === 'cursor')?.result;
}

async function eventsOf(device: Device): Promise<{ type: string; data: unknown }[]> {
  const rows = await test.database.call<{ payload: string }>(
    'events_test',
    `SELECT payload FROM sync_outbox WHERE payload LIKE '%' || $1 || '%' ORDER BY id`,
    [device.deviceId],
  );
  return rows.flatMap(({ payload }) => JSON.parse(payload) as { type: string; data: unknown }[]);
}

describe('a cursor', () => {
  it('advances once and then stays; an older one is stale', async () => {
    const { device, page } = await caughtUp();
    expect(await statusOf(device, acked(page, undefined, { sequence: '1' }))).toBe('advanced');
    expect(await statusOf(device, acked(page))).toBe('advanced');
    expect(await statusOf(device, acked(page))).toBe('unchanged');
    expect(await statusOf(device, acked(page, undefined, { sequence: '1' }))).toBe('stale');
  });

  it('does not go back when the same pages are pulled again', async () => {
    const { device, scope, page } = await caughtUp();
    await statusOf(device, acked(page));
    await pullFrom(device, scope, null);
    expect(await statusOf(device, acked(page))).toBe('unchanged');
  });

  it('of an old epoch, of another copy or of a scope that is not held is stale', async () => {
    const { device, page } = await caughtUp();
    expect(await statusOf(device, acked(page, undefined, { epoch: 'e0' }))).toBe('stale');
    expect(await statusOf(device, acked(page, undefined, { generation: '1' }))).toBe('stale');
    expect(await statusOf(device, { ...acked(page), scope: 'course:x' })).toBe('stale');
    expect(await statusOf({ ...device, tenantId: 't2' }, acked(page))).toBe('stale');
  });

  it('goes from the empty scope to its first epoch, and with a resync to the next', async () => {
    const userId = `u-${randomUUID()}`;
    const device = { tenantId: 't1', userId, deviceId: 'd1' };
    const scope = `user:${userId}`;
    const empty = await pullFrom(device, scope, null);
    expect(await statusOf(device, acked(empty))).toBe('advanced');
    projector.put('t1', scope, 'n1');
    await projector.ingest(test.database);
    const first = await pullFrom(device, scope, empty);
    expect(await statusOf(device, acked(first))).toBe('advanced');
    projector.newEpoch('t1', scope, 'e2').put('t1', scope, 'n1');
    await projector.ingest(test.database);
    const second = await pullFrom(device, scope, first);
    expect(second).toMatchObject({ reason: 'epoch', epoch: 'e2' });
    expect(await statusOf(device, acked(first))).toBe('stale');
    expect(await statusOf(device, acked(second))).toBe('advanced');
  });

  it('reports advances and purges in one event, and nothing when nothing moved', async () => {
    const { device, scope, page } = await caughtUp();
    await ack(device, { cursors: [acked(page)], purged: ['course:none'] });
    await ack(device, { cursors: [acked(page)] });
    expect(await eventsOf(device)).toMatchObject([
      {
        type: 'sync.cursor.advanced.v1',
        data: { cursors: [{ scope, epoch: 'e1', sequence: '2' }], purged: [] },
      },
    ]);
  });

  it('is told by SQL as TypeScript would tell it', async () => {
    const { device, page } = await caughtUp();
    await ack(device, { cursors: [acked(page)] });
    const [event] = await eventsOf(device);
    const { id, time: timeIso, data } = event as SyncEvent<'sync.cursor.advanced.v1'>;
    const teller = { source: 'sync-gateway', ...device, id, timeIso } as const;
    expect(event).toEqual(syncEvent('sync.cursor.advanced.v1', data, teller));
  });

  it('only ever advances, whatever order concurrent acks come in', async () => {
    const { device, page } = await caughtUp();
    const sequences = ['1', '2', '1', '2', '1', '2', '1', '2'];
    await Promise.all(sequences.map((sequence) => statusOf(device, acked(page, undefined, { sequence }))));
    expect(await statusOf(device, acked(page))).toBe('unchanged');
  });
});

describe('a digest', () => {
  const wrong = { count: 2, hash: 'f'.repeat(64) };

  it('that matches at the head asks for nothing', async () => {
    const { device, scope, page } = await caughtUp();
    const rows = await ack(device, { cursors: [acked(page, projector.digest('t1', scope))] });
    expect(rows).toEqual([{ kind: 'cursor', scope, result: 'advanced' }]);
  });

  it('below the head says nothing', async () => {
    const { device, page } = await caughtUp();
    const rows = await ack(device, { cursors: [acked(page, wrong, { sequence: '1' })] });
    expect(rows.map(({ kind }) => kind)).toEqual(['cursor']);
  });

  it('that differs starts a full resync of that scope with the next pull, and is reported', async () => {
    const { device, scope, page } = await caughtUp();
    const rows = await ack(device, { cursors: [acked(page, wrong)] });
    expect(rows.filter(({ kind }) => kind !== 'cursor')).toEqual([{ kind: 'resync', scope, result: null }]);
    const told = await readPull(test.database, device, [], 500, 0);
    expect(told.find(({ kind }) => kind === 'directive')).toMatchObject({ scope, reason: 'digest_mismatch' });
    const again = await pullFrom(device, scope, page);
    expect(again).toMatchObject({ reason: 'digest_mismatch', item_count: 2 });
    const after = await readPull(test.database, device, [{ scope, token: 't', position: again }], 500, 0);
    expect(after.map(({ kind, reason }) => [kind, kind === 'device' ? '' : reason])).toEqual([
      ['scope', null],
      ['device', ''],
    ]);
    expect((await eventsOf(device)).map(({ type }) => type)).toContain('sync.resync.required.v1');
  });

  it('that keeps differing is left alone until its back-off is over, and counts again after a match', async () => {
    const { device, scope, page } = await caughtUp();
    const mismatch = async (from: PageRow): Promise<string[]> =>
      (await ack(device, { cursors: [acked(from, wrong)] })).map(({ kind }) => kind);
    expect(await mismatch(page)).toEqual(['cursor', 'resync']);
    const second = await pullFrom(device, scope, page);
    expect(await mismatch(second)).toEqual(['cursor', 'mismatch']);
    await test.database.inTenant('t1', (tx) =>
      tx.query(`UPDATE device_scope SET resync_at = now() WHERE device_id = $1`, [device.deviceId]),
    );
    expect(await mismatch(second)).toEqual(['cursor', 'resync']);
    const [row] = await test.database.inTenant('t1', (tx) =>
      tx.query<{ wait_s: number }>(
        `SELECT round(extract(epoch FROM resync_at - now()))::int AS wait_s FROM device_scope WHERE device_id = $1`,
        [device.deviceId],
      ),
    );
    expect(row?.wait_s).toBeGreaterThan(60);
    const third = await pullFrom(device, scope, second);
    await ack(device, { cursors: [acked(third, projector.digest('t1', scope))] });
    expect(await mismatch(third)).toEqual(['cursor', 'resync']);
  });

  it('is not repaired beyond the budget', async () => {
    const { device, page } = await caughtUp();
    const rows = await ack(device, { cursors: [acked(page, wrong)], maxResyncs: 0 });
    expect(rows.map(({ kind }) => kind)).toEqual(['cursor', 'mismatch']);
  });
});

describe('the rest of an ack', () => {
  it('ends the waiting of outcomes, of this device only', async () => {
    const { device, page } = await caughtUp();
    const mine = randomUUID();
    const open = randomUUID();
    const other = { ...device, deviceId: 'd-other' };
    await test.database.inTenant('t1', async (tx) => {
      const text = `INSERT INTO mutation (tenant_id, mutation_id, user_id, device_id, payload_hash, status, outcome, terminal_at)
        VALUES ('t1', $1, $2, $3, '', $4, $5, $6)`;
      const done = `{"mutationId":"${mine}","status":"applied"}`;
      await tx.query(text, [mine, device.userId, device.deviceId, 'applied', done, new Date()]);
      await tx.query(text, [open, device.userId, device.deviceId, 'accepted', null, null]);
    });
    const waiting = async (): Promise<string | null | undefined> =>
      (await readPull(test.database, device, [], 500, 0))
        .filter((row) => row.kind !== 'scope')
        .find(({ kind }) => kind === 'outcomes')?.items;
    expect(await waiting()).toBe(`{"mutationId":"${mine}","status":"applied"}`);
    await ack(other, { outcomes: [mine] });
    expect(await waiting()).toBeDefined();
    await ack(device, { outcomes: [mine.toUpperCase(), open], cursors: [acked(page)] });
    expect(await waiting()).toBeUndefined();
  });

  it('a purge receipt ends the revocation notice, and the copy: a later grant starts anew', async () => {
    const { device } = await caughtUp();
    projector.put('t1', 'course:p', 'b1').grant('t1', device.userId, 'course:p');
    await projector.ingest(test.database);
    const page = await pullFrom(device, 'course:p', null);
    projector.grant('t1', device.userId, 'course:p', false);
    await projector.ingest(test.database);
    expect(await statusOf(device, acked(page))).toBe('stale');
    await ack(device, { purged: ['course:p'] });
    expect((await readPull(test.database, device, [], 500, 0)).map(({ kind }) => kind)).not.toContain(
      'revoked',
    );
    projector.grant('t1', device.userId, 'course:p');
    await projector.ingest(test.database);
    expect(await pullFrom(device, 'course:p', page)).toMatchObject({ reason: 'unheld' });
  });

  it('costs one round trip', async () => {
    const { device, page } = await caughtUp();
    const before = test.database.roundTrips;
    await ack(device, { cursors: [acked(page)], outcomes: [randomUUID()], purged: ['course:x'] });
    expect(test.database.roundTrips - before).toBe(1);
  });
});

describe('acks of one moment', () => {
  it('go through one call, and each has the answer of its own', async () => {
    const all = await Promise.all([1, 2, 3, 4].map(() => caughtUp()));
    const [first, second, third, fourth] = all;
    if (!first || !second || !third || !fourth) throw new Error('four devices are needed');
    const before = test.database.roundTrips;
    const answers = await Promise.all([
      ack(first.device, { cursors: [acked(first.page)], purged: ['course:a', 'course:b'] }),
      ack(second.device, { cursors: [{ ...acked(second.page), scope: 'course:x' }, acked(second.page)] }),
      ack(third.device, { outcomes: [randomUUID()] }),
      ack(fourth.device, { cursors: [acked(fourth.page, { count: 2, hash: 'f'.repeat(64) })] }),
    ]);
    expect(test.database.roundTrips - before).toBe(1);
    expect(answers.map((rows) => rows.map(({ kind, result }) => result ?? kind))).toEqual([
      ['advanced'],
      ['stale', 'advanced'],
      [],
      ['advanced', 'resync'],
    ]);
    expect(await eventsOf(second.device)).toMatchObject([
      { type: 'sync.cursor.advanced.v1', data: { cursors: [{ scope: second.scope }] } },
    ]);
  });

  it('do not wait for one whose device somebody else has locked, which is done all the same', async () => {
    const locked = await caughtUp();
    const free = await caughtUp();
    const answered = await test.database.inTenant('t1', async (tx) => {
      await tx.query(`SELECT FROM device_scope WHERE device_id = $1 FOR UPDATE`, [locked.device.deviceId]);
      const late = statusOf(locked.device, acked(locked.page));
      expect(await statusOf(free.device, acked(free.page))).toBe('advanced');
      expect(await Promise.race([late, Promise.resolve('still waits')])).toBe('still waits');
      return { late };
    });
    expect(await answered.late).toBe('advanced');
  });

  it('do not fail with one that Postgres refuses', async () => {
    const good = await caughtUp();
    const bad = await caughtUp();
    const refused = ack(bad.device, { cursors: [acked(bad.page)], maxResyncs: 2 ** 31 - 1, partition: -1 });
    const [status, error] = await Promise.all([
      statusOf(good.device, acked(good.page)),
      refused.catch((reason: unknown) => reason),
    ]);
    expect(status).toBe('advanced');
    expect(String(error)).toContain('sync_outbox_partition_check');
    expect(await statusOf(bad.device, acked(bad.page))).toBe('advanced');
  });
});
