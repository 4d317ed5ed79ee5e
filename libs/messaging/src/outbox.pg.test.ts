import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Database } from '@sync/postgres';
import { createTestDatabase, startPostgres, type TestDatabase } from '@sync/postgres/testing';
import type { Lease } from './lease.ts';
import { messagingMigrations } from './migration.ts';
import { appendToOutbox, MAX_PAYLOAD_BYTES, PayloadTooLargeError } from './outbox.ts';
import {
  confirmPublished,
  openHead,
  pruneRows,
  readReplayPage,
  restartEpoch,
  takeRows,
  type NumberedRow,
} from './relay-store.ts';

const LEASE: Lease = { name: 'relay:S:0', holder: 'me', token: '1' };
const PAGE = { rows: 100, bytes: 1_000_000 };
const PLACE = { stream: 'S', partition: 0 };

let test: TestDatabase;
let database: Database;
beforeAll(async () => {
  const migrations = messagingMigrations;
  test = await createTestDatabase({ postgres: await startPostgres(), name: 'outbox', migrations });
  ({ database } = test);
});
afterAll(() => test.drop());
beforeEach(async () => {
  await database.call(
    'lease',
    `INSERT INTO sync_lease VALUES ($1, $2, $3, clock_timestamp() + interval '1 minute')`,
    [LEASE.name, LEASE.holder, LEASE.token],
  );
  await openHead(database, PLACE.stream, PLACE.partition);
});
afterEach(async () => {
  await database.transaction((tx) =>
    tx.query(
      'DELETE FROM sync_outbox; DELETE FROM sync_outbox_head; DELETE FROM sync_lease; DELETE FROM sync_outbox_mark',
    ),
  );
});

async function append(...payloads: string[]): Promise<void> {
  await database.transaction((tx) =>
    appendToOutbox(
      tx,
      payloads.map((payload) => ({ ...PLACE, payload })),
    ),
  );
}

function take(after = 0, page = PAGE, lease = LEASE): Promise<NumberedRow[]> {
  return takeRows(database, [{ ...PLACE, after, lease, gathers: false }], page);
}

function brief(rows: readonly { number: number; payload: string }[]): [number, string][] {
  return rows.map(({ number, payload }) => [number, payload]);
}

describe('appendToOutbox', () => {
  it('keeps the order of its rows, and writes nothing when the transaction rolls back', async () => {
    await append('a', 'b', 'c');
    const failing = database.transaction(async (tx) => {
      await appendToOutbox(tx, [{ ...PLACE, payload: 'never' }]);
      throw new Error('rolled back');
    });
    await expect(failing).rejects.toThrow('rolled back');
    await append('d');
    expect(brief(await take())).toEqual([
      [1, 'a'],
      [2, 'b'],
      [3, 'c'],
      [4, 'd'],
    ]);
  });

  it('refuses what NATS would never carry, in TypeScript and in SQL', async () => {
    const large = 'x'.repeat(MAX_PAYLOAD_BYTES + 1);
    await expect(append(large)).rejects.toThrow(PayloadTooLargeError);
    const inSql = database.call('append', `SELECT sync_append_outbox('S', 0, $1)`, [large]);
    await expect(inSql).rejects.toThrow(/sync_outbox_payload_check/);
    await append('x'.repeat(MAX_PAYLOAD_BYTES));
    expect(await take()).toHaveLength(1);
  });

  it('is there for SQL functions too', async () => {
    await database.call('append', `SELECT sync_append_outbox('S', 0, $1)`, ['from sql']);
    expect(brief(await take())).toEqual([[1, 'from sql']]);
  });
});

describe('numbering', () => {
  it('is contiguous over several pages and never given twice', async () => {
    await append('a', 'b', 'c');
    const first = await take(0, { rows: 2, bytes: 1_000 });
    const second = await take(2, { rows: 2, bytes: 1_000 });
    await append('d');
    expect(brief([...first, ...second, ...(await take(3))])).toEqual([
      [1, 'a'],
      [2, 'b'],
      [3, 'c'],
      [4, 'd'],
    ]);
  });

  it('skips a row whose transaction is open and numbers it later', async () => {
    let commit = (): void => undefined;
    const slow = database.transaction(async (tx) => {
      await appendToOutbox(tx, [{ ...PLACE, payload: 'slow' }]);
      await new Promise<void>((resolve) => (commit = resolve));
    });
    await append('fast');
    expect(brief(await take())).toEqual([[1, 'fast']]);
    commit();
    await slow;
    expect(brief(await take(1))).toEqual([[2, 'slow']]);
  });

  it('answers again what was numbered but not published', async () => {
    await append('a', 'b');
    expect(brief(await take())).toEqual(brief(await take()));
  });

  it('ends a page at the bound of bytes, but never before its first row', async () => {
    await append('x'.repeat(900), 'y'.repeat(900), 'z');
    expect((await take(0, { rows: 100, bytes: 1_000 })).map((row) => row.number)).toEqual([1, 2]);
    expect((await take(0, { rows: 100, bytes: 10 })).map((row) => row.number)).toEqual([1]);
  });

  it.each([
    ['another holder', { ...LEASE, holder: 'other' }],
    ['an old token', { ...LEASE, token: '0' }],
  ])('writes nothing under the lease of %s', async (_who, lease) => {
    await append('a');
    expect(await take(0, PAGE, lease)).toEqual([]);
    const [head] = await database.call<{ number: string }>('head', 'SELECT number FROM sync_outbox_head', []);
    expect(head?.number).toBe('0');
  });

  it('writes nothing under an expired lease', async () => {
    await append('a');
    await database.call('expire', `UPDATE sync_lease SET expires_at = clock_timestamp()`, []);
    expect(await take()).toEqual([]);
  });
});

describe('gathering', () => {
  function gather(after = 0, page = PAGE): Promise<NumberedRow[]> {
    return takeRows(database, [{ ...PLACE, after, lease: LEASE, gathers: true }], page);
  }

  it('makes one message of all arrays that wait, in their order', async () => {
    await append('[1,"ä"]', '[]', '[{"two":[2]}]', '[3]');
    const gathered: [number, string][] = [[1, '[1,"ä",{"two":[2]},3]']];
    expect(brief(await gather())).toEqual(gathered);
    await append('[4]');
    expect(brief(await gather())).toEqual(gathered);
    expect(brief(await gather(1))).toEqual([[2, '[4]']]);
    const { epoch } = await openHead(database, 'S', 0);
    const page = await readReplayPage(database, { ...PLACE, epoch, after: 0 }, PAGE);
    expect(page?.messages).toEqual([
      { number: 1, payload: '[1,"ä",{"two":[2]},3]' },
      { number: 2, payload: '[4]' },
    ]);
  });

  it('numbers each row where one of them is no array', async () => {
    await append('[1]', '{"no":"array"}', '[2]');
    expect(brief(await gather())).toEqual([
      [1, '[1]'],
      [2, '{"no":"array"}'],
      [3, '[2]'],
    ]);
  });

  it('ends a message at 256 KiB and at the page, and says that more waits', async () => {
    const large = `["${'x'.repeat(200_000)}"]`;
    await append(large, large, '[3]');
    const [first, ...others] = await gather();
    expect([first?.number, first?.payload.length, first?.more, others]).toEqual([1, 400_007, true, []]);
    expect(await gather(1)).toMatchObject([{ number: 2, payload: '[3]', more: false }]);
    await append('[4]', '[5]', '[6]');
    const page = { rows: 2, bytes: 1_000 };
    expect(await gather(2, page)).toMatchObject([{ number: 3, payload: '[4,5]', more: true }]);
  });

  it('ends a message before a row that it has no room for', async () => {
    const [small, large] = [200_000, 900_000].map((length) => `["${'x'.repeat(length)}"]`);
    await append(small ?? '', large ?? '');
    expect(await gather()).toMatchObject([{ number: 1, payload: small, more: true }]);
    expect(await gather(1)).toMatchObject([{ number: 2, payload: large, more: false }]);
  });

  it('writes nothing under a lease that was lost', async () => {
    await append('[1]', '[2]');
    await database.call('expire', `UPDATE sync_lease SET expires_at = clock_timestamp()`, []);
    expect(await gather()).toEqual([]);
    const rows = await database.call('rows', 'SELECT FROM sync_outbox WHERE number IS NULL', []);
    expect(rows).toHaveLength(2);
  });
});

describe('a call whose connection is gone, and that is still at its commit', () => {
  it.each([true, false])('loses nothing to the one after it, gathering %s', async (gathers) => {
    const request = { ...PLACE, after: 0, lease: LEASE, gathers };
    await append('[1]', '[2]', '[3]');
    const { second } = await database.transaction(async (tx) => {
      await takeRows(tx, [request], PAGE);
      await append('[4]');
      const waits = takeRows(database, [request], PAGE);
      await sleep(300);
      return { second: waits };
    });
    expect(await second).toEqual([]);
    const before = await takeRows(database, [request], PAGE);
    const after = before.at(-1)?.number ?? 0;
    const rows = [...before, ...(await takeRows(database, [{ ...request, after }], PAGE))];
    expect(rows.flatMap(({ payload }) => JSON.parse(payload) as number[])).toEqual([1, 2, 3, 4]);
    expect(rows.map(({ number }) => number)).toEqual(gathers ? [1, 2] : [1, 2, 3, 4]);
    expect((await openHead(database, 'S', 0)).number).toBe(rows.length);
  });
});

describe('confirming', () => {
  it('only moves forward and only for the holder', async () => {
    await append('a', 'b', 'c');
    await take();
    await confirmPublished(database, [{ ...PLACE, published: 2, lease: LEASE }]);
    await confirmPublished(database, [{ ...PLACE, published: 1, lease: LEASE }]);
    await confirmPublished(database, [{ ...PLACE, published: 3, lease: { ...LEASE, token: '9' } }]);
    expect((await openHead(database, 'S', 0)).published).toBe(2);
  });
});

describe('replay', () => {
  it('pages from any number in one snapshot', async () => {
    await append('a', 'b', 'c');
    await take();
    const { epoch } = await openHead(database, 'S', 0);
    const page = await readReplayPage(database, { ...PLACE, epoch, after: 1 }, { rows: 1, bytes: 1_000 });
    expect(page).toEqual({
      epoch,
      first: 1,
      last: 3,
      pruned: false,
      messages: [{ number: 2, payload: 'b' }],
    });
  });

  it('bounds a page by bytes', async () => {
    await append('x'.repeat(900), 'y'.repeat(900), 'z');
    await take();
    const { epoch } = await openHead(database, 'S', 0);
    for (const [bytes, numbers] of [
      [10, [1]],
      [1_000, [1]],
      [1_800, [1, 2]],
    ] as const) {
      const page = await readReplayPage(database, { ...PLACE, epoch, after: 0 }, { rows: 100, bytes });
      expect(page?.messages.map(({ number }) => number)).toEqual(numbers);
    }
  });

  it('tells another epoch and gives none of its messages', async () => {
    await append('a');
    await take();
    const page = await readReplayPage(database, { ...PLACE, epoch: 'old', after: 0 }, PAGE);
    expect(page).toMatchObject({ first: 1, last: 1, pruned: false, messages: [] });
    expect(
      await readReplayPage(database, { stream: 'S', partition: 9, epoch: 'e', after: 0 }, PAGE),
    ).toBeUndefined();
  });
});

describe('pruning', () => {
  async function publishAll(after = 0): Promise<number> {
    const last = (await take(after)).at(-1)?.number ?? after;
    await confirmPublished(database, [{ ...PLACE, published: last, lease: LEASE }]);
    return last;
  }

  it('deletes what was published longer ago than the retention, and says so in a replay', async () => {
    await append('a', 'b', 'c');
    await publishAll();
    await pruneRows(database, PLACE, { retentionMs: 60_000, rows: 100 });
    await append('d');
    await publishAll(3);
    await database.call(
      'age',
      `UPDATE sync_outbox_mark SET marked_at = marked_at - interval '2 minutes'`,
      [],
    );
    expect(await pruneRows(database, PLACE, { retentionMs: 60_000, rows: 2 })).toBe(2);
    expect(await pruneRows(database, PLACE, { retentionMs: 60_000, rows: 2 })).toBe(1);
    expect(await pruneRows(database, PLACE, { retentionMs: 60_000, rows: 2 })).toBe(0);
    const { epoch } = await openHead(database, 'S', 0);
    const page = await readReplayPage(database, { ...PLACE, epoch, after: 1 }, PAGE);
    expect(page).toEqual({ epoch, first: 4, last: 4, pruned: true, messages: [{ number: 4, payload: 'd' }] });
    expect(await readReplayPage(database, { ...PLACE, epoch, after: 3 }, PAGE)).toMatchObject({
      pruned: false,
    });
  });

  it('keeps what JetStream has not confirmed, however old', async () => {
    await append('a');
    await take();
    await pruneRows(database, PLACE, { retentionMs: 0, rows: 100 });
    expect(await pruneRows(database, PLACE, { retentionMs: 0, rows: 100 })).toBe(0);
    expect(brief(await take())).toEqual([[1, 'a']]);
  });

  it('reports everything as pruned when nothing is left', async () => {
    await append('a');
    await publishAll();
    await pruneRows(database, PLACE, { retentionMs: 0, rows: 100 });
    await pruneRows(database, PLACE, { retentionMs: 0, rows: 100 });
    const { epoch } = await openHead(database, 'S', 0);
    expect(await readReplayPage(database, { ...PLACE, epoch, after: 0 }, PAGE)).toEqual({
      ...{ epoch, first: 2, last: 1, pruned: true },
      messages: [],
    });
  });
});

describe('restartEpoch', () => {
  it('numbers again from 1 what was not published, and forgets what was', async () => {
    await append('published', 'waiting');
    await take();
    await confirmPublished(database, [{ ...PLACE, published: 1, lease: LEASE }]);
    const old = await openHead(database, 'S', 0);
    const fresh = await restartEpoch(database, PLACE, old, LEASE);
    expect(fresh).toEqual({ epoch: fresh.epoch, number: 0, published: 0 });
    expect(fresh.epoch).not.toBe(old.epoch);
    expect(brief(await take())).toEqual([[1, 'waiting']]);
  });

  it('does nothing without the lease', async () => {
    const old = await openHead(database, 'S', 0);
    expect(await restartEpoch(database, PLACE, old, { ...LEASE, token: '7' })).toEqual(old);
  });
});
