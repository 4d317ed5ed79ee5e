import { keyOf } from '../storage/store.ts';
import type { Store, StoredRow, StoredValue, TableName } from '../storage/store.ts';
import type { StoreCheck, StorePlace } from './store-contract.ts';
import { assertSame } from './assertions.ts';

export const ROW_CHECKS: readonly StoreCheck[] = [
  { name: 'an empty place has nothing', run: emptyPlace },
  { name: 'what is put is read, in the order that was asked for', run: putAndGet },
  { name: 'a list is in the order of its keys', run: listInOrder },
  { name: 'deletes come before puts', run: deletesFirst },
  { name: 'the last put of a key stands', run: lastPutStands },
  { name: 'tables do not meet', run: tablesApart },
  { name: 'a prefix takes no neighbours', run: prefixes },
  { name: 'a prefix ends anywhere, also at the last letters of Unicode', run: prefixesAtTheEdge },
  { name: 'what is handed over may be changed afterwards', run: honestCopies },
  { name: 'what is read may be changed as well', run: honestAnswers },
  { name: 'a crash takes nothing that was answered', run: afterACrash },
  { name: 'clear takes everything, counters as well', run: clearAll },
  { name: 'a commit that begins anew leaves what it puts alone', run: beginAnew },
];

async function emptyPlace(place: StorePlace): Promise<void> {
  const store = await place.open();
  assertSame(await store.get('entity', ['a', '']), [undefined, undefined], 'get');
  assertSame(await store.get('entity', []), [], 'get of nothing');
  assertSame(await store.list('entity', ''), [], 'list');
  assertSame(await store.keys('entity', ''), [], 'keys');
  assertSame(await store.counters(['a', '']), [0, 0], 'counters');
  assertSame(await store.counters([]), [], 'no counters');
  assertSame(await store.commit({}), true, 'an empty commit');
  const deletes = {
    deletes: [{ table: 'entity', key: 'a' }],
    deletePrefixes: [{ table: 'meta', prefix: '' }],
  };
  assertSame(await store.commit(deletes as never), true, 'a delete of what is not there');
  await store.close();
}

async function putAndGet(place: StorePlace): Promise<void> {
  const store = await place.open();
  await put(store, 'entity', { b: { n: 2 }, a: { n: 1 }, c: { n: 3 } });
  const asked = ['c', 'nowhere', 'a', 'c'];
  assertSame(await store.get('entity', asked), [{ n: 3 }, undefined, { n: 1 }, { n: 3 }], 'get');
  await put(store, 'entity', { a: { other: true } });
  assertSame(await store.get('entity', ['a']), [{ other: true }], 'after it was put again');
  await store.close();
}

async function listInOrder(place: StorePlace): Promise<void> {
  const store = await place.open();
  const keys = ['b', 'a\0', 'a', 'B', '~', '', '10', '9', 'a\u0001', 'a b', "a'b", 'a%', 'a_', '\u007f'];
  await put(store, 'entity', Object.fromEntries(keys.map((key) => [key, { key }])));
  const expected = keys.sort().map((key) => ({ key, value: { key } }));
  assertSame(await store.list('entity', ''), expected, 'list');
  assertSame(await store.keys('entity', ''), keys, 'keys');
  await store.close();
}

async function deletesFirst(place: StorePlace): Promise<void> {
  const store = await place.open();
  await put(store, 'entity', {
    'a\u00001': { old: 1 },
    'a\u00002': { old: 2 },
    b: { old: 3 },
    c: { old: 4 },
  });
  await store.commit({
    deletePrefixes: [{ table: 'entity', prefix: 'a\0' }],
    deletes: [
      { table: 'entity', key: 'b' },
      { table: 'entity', key: 'c' },
    ],
    puts: [
      { table: 'entity', key: 'a\u00002', value: { fresh: 2 } },
      { table: 'entity', key: 'c', value: { fresh: 4 } },
    ],
  });
  const rows = [
    { key: 'a\u00002', value: { fresh: 2 } },
    { key: 'c', value: { fresh: 4 } },
  ];
  assertSame(await store.list('entity', ''), rows, 'list');
  await store.close();
}

async function lastPutStands(place: StorePlace): Promise<void> {
  const store = await place.open();
  const puts = [1, 2, 3].map((n) => ({ table: 'outbox' as const, key: 'k', value: { n } }));
  await store.commit({ puts });
  assertSame(await store.list('outbox', ''), [{ key: 'k', value: { n: 3 } }], 'list');
  await store.close();
}

async function tablesApart(place: StorePlace): Promise<void> {
  const store = await place.open();
  const tables = ['meta', 'scope', 'entity', 'outbox', 'outcome', 'document'] as const;
  await store.commit({ puts: tables.map((table) => ({ table, key: 'k', value: { table } })) });
  await store.commit({ deletePrefixes: [{ table: 'scope', prefix: '' }] });
  for (const table of tables) {
    const rows = table === 'scope' ? [] : [{ key: 'k', value: { table } }];
    assertSame(await store.list(table, ''), rows, table);
  }
  await store.close();
}

async function prefixes(place: StorePlace): Promise<void> {
  const store = await place.open();
  const ids = [
    ['note', 'a'],
    ['note', 'b'],
    ['notes', 'a'],
    ['not', 'a'],
    ['note'],
    ['note', ''],
    ['Note', 'a'],
    ['n_te', 'a'],
    ['%', 'a'],
    ['note', 'a', 'more'],
  ];
  await put(store, 'entity', Object.fromEntries(ids.map((parts) => [keyOf(...parts), { parts }])));
  const asked = [['note'], ['note', 'a'], ['n_te'], ['%'], ['NOTE'], ['no'], [], ['note', 'a', 'more']];
  for (const parts of asked) {
    const prefix = keyOf(...parts);
    const keys = ids.map((id) => keyOf(...id)).filter((key) => key.startsWith(prefix));
    assertSame(
      (await store.list('entity', prefix)).map(({ key }) => key),
      keys.sort(),
      `list ${prefix}`,
    );
  }
  await store.commit({ deletePrefixes: [{ table: 'entity', prefix: keyOf('note') }] });
  const left = ids.filter(([first]) => first !== 'note').map((parts) => keyOf(...parts));
  assertSame(
    (await store.list('entity', '')).map(({ key }) => key),
    left.sort(),
    'after the delete',
  );
  await store.close();
}

async function prefixesAtTheEdge(place: StorePlace): Promise<void> {
  const store = await place.open();
  const ends = ['', '\0', '\u0001', '\u0001\u0001', '\u0001\u0003', '\u007f', '\ud7ff', '\ue000', '\uffff'];
  ends.push(
    '\ufffe',
    '\ufeff',
    '\u{1f600}',
    '\u{10ffff}',
    '\ud83d',
    '\ude00',
    'e\u0301',
    '\u00e9',
    '\uffff\uffff',
  );
  const keys = ends.flatMap((first) => ends.map((second) => `k${first}${second}`));
  const unique = [...new Set([...keys, ...ends])];
  await put(store, 'entity', Object.fromEntries(unique.map((key) => [key, { of: key.length }])));
  assertSame((await store.list('entity', '')).length, unique.length, 'no two keys are one');
  for (const prefix of [...ends, ...ends.map((end) => `k${end}`)]) {
    const expected = unique.filter((key) => key.startsWith(prefix)).sort();
    const listed = (await store.list('entity', prefix)).map(({ key }) => key);
    assertSame(listed.sort(), expected, `list of ${JSON.stringify(prefix)}`);
  }
  assertSame(
    await store.get('entity', unique),
    unique.map((key) => ({ of: key.length })),
    'get of each',
  );
  await store.close();
}

async function honestCopies(place: StorePlace): Promise<void> {
  const store = await place.open();
  const row = { table: 'entity' as const, key: 'k', value: { list: [1], deep: { text: 'as it was' } } };
  const counters: Record<string, number> = { c: 1 };
  const puts = [row];
  const committed = store.commit({ puts, counters });
  row.value.list.push(2);
  row.value.deep.text = 'changed';
  row.key = 'other';
  puts.push({ ...row });
  counters['c'] = 2;
  assertSame(await committed, true, 'the commit');
  row.value.list.push(3);
  assertSame(
    await store.list('entity', ''),
    [{ key: 'k', value: { list: [1], deep: { text: 'as it was' } } }],
    'list',
  );
  assertSame(await store.counters(['c']), [1], 'the counter');
  await store.close();
}

async function honestAnswers(place: StorePlace): Promise<void> {
  const store = await place.open();
  await put(store, 'entity', { k: { list: [1] } });
  const [row] = (await store.list('entity', '')) as unknown as { value: { list: number[] } }[];
  row?.value.list.push(2);
  const [got] = (await store.get('entity', ['k'])) as unknown as { list: number[] }[];
  assertSame(got, { list: [1] }, 'after a list was changed');
  got?.list.push(2);
  assertSame(await store.get('entity', ['k']), [{ list: [1] }], 'after an answer was changed');
  await store.close();
}

async function afterACrash(place: StorePlace): Promise<void> {
  const rows: StoredRow[] = [];
  for (const n of [1, 2, 3]) {
    const store = await place.open();
    assertSame(await store.list('outbox', ''), rows, `start ${n}`);
    assertSame(await store.counters(['n']), [n - 1], `counter of start ${n}`);
    const row = { key: `k${n}`, value: { n } };
    rows.push(row);
    await store.commit({ puts: [{ table: 'outbox', ...row }], counters: { n } });
    await place.kill(store);
  }
  const store = await place.open();
  assertSame(await store.list('outbox', ''), rows, 'at the end');
  await store.close();
}

async function clearAll(place: StorePlace): Promise<void> {
  const store = await place.open();
  await store.commit({ puts: [{ table: 'document', key: 'k', value: {} }], counters: { c: 5 } });
  await put(store, 'meta', { k: {} });
  await store.clear();
  assertSame(await store.list('document', ''), [], 'rows');
  assertSame(await store.list('meta', ''), [], 'rows of another table');
  assertSame(await store.counters(['c']), [0], 'counters');
  assertSame(await store.commit({ expect: { c: 0 }, counters: { c: 1 } }), true, 'a commit afterwards');
  await store.close();
}

async function beginAnew(place: StorePlace): Promise<void> {
  const store = await place.open();
  await store.commit({ puts: [{ table: 'document', key: 'k', value: {} }], counters: { c: 5, d: 5 } });
  await put(store, 'meta', { old: {} });
  const anew = {
    isAnew: true,
    puts: [{ table: 'meta', key: 'new', value: { n: 1 } }],
    counters: { c: 6 },
  } as const;
  assertSame(await store.commit({ ...anew, expect: { c: 4 } }), false, 'one that expects something else');
  assertSame(await store.counters(['c', 'd']), [5, 5], 'counters after that');
  assertSame(await store.commit({ ...anew, expect: { c: 5 } }), true, 'the commit');
  assertSame(await store.list('meta', ''), [{ key: 'new', value: { n: 1 } }], 'what it puts');
  assertSame(await store.list('document', ''), [], 'rows of another table');
  assertSame(await store.counters(['c', 'd']), [6, 0], 'counters');
  await store.close();
}

async function put(store: Store, table: TableName, rows: Record<string, StoredValue>): Promise<void> {
  const puts = Object.entries(rows).map(([key, value]) => ({ table, key, value }));
  assertSame(await store.commit({ puts }), true, 'the commit');
}
