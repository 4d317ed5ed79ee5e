import type { StoredValue } from '../storage/store.ts';
import type { StoreCheck, StorePlace } from './store-contract.ts';
import { assertSame } from './assertions.ts';

const BIG_ROW_BYTES = 500 * 1024;
const BIG_ROWS = 6;
const MANY_ROWS = 5_000;
const DEPTH = 500;

export const LIMIT_CHECKS: readonly StoreCheck[] = [
  { name: 'rows of 500 KiB', run: bigRows },
  { name: '5,000 rows in one commit', run: manyRows },
  { name: 'JSON at its edges', run: edgesOfJson },
];

async function bigRows(place: StorePlace): Promise<void> {
  const store = await place.open();
  // Letters of one, two, three and four bytes, and what JSON escapes.
  const text = 'a\u00e4\u20ac\u{1f600}"\n'.repeat(BIG_ROW_BYTES / 16);
  const rows = Array.from({ length: BIG_ROWS }, (_unused, n) => ({ key: `k${n}`, value: { n, text } }));
  await store.commit({ puts: rows.map((row) => ({ table: 'document', ...row })) });
  const listed = await store.list('document', '');
  assertSame(listed.length, BIG_ROWS, 'rows');
  // Compared by themselves: an error that shows three megabytes shows nothing.
  for (const [place, { key, value }] of listed.entries()) {
    assertSame([key, value['n']], [`k${place}`, place], 'key and number');
    assertSame(value['text'] === text, true, `text of ${key}`);
  }
  await store.close();
}

async function manyRows(place: StorePlace): Promise<void> {
  const store = await place.open();
  const keys = Array.from({ length: MANY_ROWS }, (_unused, n) => `k\0${String(n).padStart(5, '0')}`);
  const puts = keys.map((key, n) => ({ table: 'entity' as const, key, value: { n } }));
  assertSame(await store.commit({ puts, counters: { n: MANY_ROWS } }), true, 'the commit');
  const listed = await store.list('entity', 'k\0');
  assertSame(listed.length, MANY_ROWS, 'rows');
  assertSame(listed[4_321], { key: keys[4_321], value: { n: 4_321 } }, 'one of them');
  const backwards = [...keys].reverse();
  const values = await store.get('entity', backwards);
  assertSame(
    values.map((value) => value?.['n']),
    backwards.map((_key, place) => MANY_ROWS - 1 - place),
    'get of all, backwards',
  );
  const deletes = keys.slice(1).map((key) => ({ table: 'entity' as const, key }));
  assertSame(await store.commit({ deletes }), true, 'the delete');
  assertSame(await store.list('entity', ''), [{ key: keys[0], value: { n: 0 } }], 'what is left');
  await store.close();
}

async function edgesOfJson(place: StorePlace): Promise<void> {
  const store = await place.open();
  const texts = [
    '{}',
    '{"":"","\\u0000":"\\u0000"}',
    '{"numbers":[0,1e308,-1e308,5e-324,9007199254740993,0.1,1e21,123456789012345680000]}',
    '{"null":null,"no":false,"yes":true,"empty":[],"nested":[[],[[]],{}]}',
    '{"__proto__":{"a":1},"constructor":"c","toJSON":"t","toString":null,"then":"t","length":-1}',
    '{"10":"ten","9":"nine","b":1,"a":2}',
    '{"emoji":"\u{1f600}","half":"\\ud83d","otherHalf":"\\ude00","combining":"e\u0301","bom":"\ufeff"}',
    '{"controls":"\\u0001\\b\\f\\n\\r\\t\\u001f\\u007f\\u2028\\u2029\uffff"}',
    `{"deep":${'['.repeat(DEPTH)}${']'.repeat(DEPTH)}}`,
    `{"sql":"'; DROP TABLE entity; --","quotes":"\\"\\\\'\`"}`,
  ];
  const values = texts.map((text) => JSON.parse(text) as StoredValue);
  await store.commit({ puts: values.map((value, n) => ({ table: 'entity', key: `k${n}`, value })) });
  await place.kill(store);
  const again = await place.open();
  const got = await again.get(
    'entity',
    values.map((_value, n) => `k${n}`),
  );
  for (const [n, value] of values.entries()) assertSame(got[n], value, `value ${n}`);
  await again.close();
}
