import type { Commit } from '../storage/store.ts';
import type { StoreCheck, StorePlace } from './store-contract.ts';
import { assertSame, assertStorageError } from './assertions.ts';

export const FAILURE_CHECKS: readonly StoreCheck[] = [
  { name: 'a closed store says so', run: closed },
  { name: 'close waits for what was begun', run: closeWaits },
  { name: 'what is no JSON is refused, and nothing stored', run: noJson },
  { name: 'what is no safe integer is refused, and nothing stored', run: noInteger },
];

async function closed(place: StorePlace): Promise<void> {
  const store = await place.open();
  await store.close();
  await store.close();
  await assertStorageError('closed', () => store.get('meta', ['a']), 'get');
  await assertStorageError('closed', () => store.list('meta', ''), 'list');
  await assertStorageError('closed', () => store.keys('meta', ''), 'keys');
  await assertStorageError('closed', () => store.counters(['a']), 'counters');
  await assertStorageError('closed', () => store.commit({}), 'commit');
  await assertStorageError('closed', () => store.clear(), 'clear');
}

async function closeWaits(place: StorePlace): Promise<void> {
  const store = await place.open();
  const puts = Array.from({ length: 100 }, (_unused, n) => ({
    table: 'outbox' as const,
    key: `k${n}`,
    value: { n },
  }));
  const committed = store.commit({ puts });
  const listed = store.list('outbox', '');
  await store.close();
  assertSame(await committed, true, 'the commit');
  await listed;
  const again = await place.open();
  assertSame((await again.list('outbox', '')).length, 100, 'rows');
  await again.close();
}

async function noJson(place: StorePlace): Promise<void> {
  const circle: Record<string, unknown> = {};
  circle['circle'] = circle;
  for (const value of [{ big: 1n }, circle]) {
    await assertRefused(place, {
      deletePrefixes: [{ table: 'meta', prefix: '' }],
      puts: [
        { table: 'outbox', key: 'before', value: {} },
        { table: 'outbox', key: 'wrong', value },
      ],
      counters: { c: 2 },
    });
  }
}

async function noInteger(place: StorePlace): Promise<void> {
  for (const wrong of [0.5, Number.NaN, Number.POSITIVE_INFINITY, Number.MAX_SAFE_INTEGER + 1]) {
    await assertRefused(place, {
      puts: [{ table: 'outbox', key: 'a', value: {} }],
      counters: { c: 2, wrong },
    });
  }
}

async function assertRefused(place: StorePlace, change: Commit): Promise<void> {
  const store = await place.open();
  await store.commit({ puts: [{ table: 'meta', key: 'kept', value: { n: 1 } }], counters: { c: 1 } });
  await assertStorageError('failed', () => store.commit(change), 'the commit');
  assertSame(await store.list('outbox', ''), [], 'rows');
  assertSame(await store.list('meta', ''), [{ key: 'kept', value: { n: 1 } }], 'rows from before');
  assertSame(await store.counters(['c', 'wrong']), [1, 0], 'counters');
  await store.close();
}
