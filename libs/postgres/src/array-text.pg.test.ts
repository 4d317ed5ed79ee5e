import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { jsonArray } from './array-text.ts';
import { createTestDatabase, startPostgres, type TestDatabase } from './testing/index.ts';

let test: TestDatabase;
beforeAll(async () => {
  test = await createTestDatabase({ postgres: await startPostgres(), name: 'arrays' });
});
afterAll(() => test.drop());

it.each([
  ['none', []],
  ['as they were written, whatever is in them', ['{"b":1e400, "a":"\\"\\n{,}ö😀"}', 'null', '"NULL"', '[]']],
])('gives Postgres JSON texts: %s', async (_which, texts) => {
  const rows = await test.database.call<{ text: string }>(
    'json_texts',
    'SELECT r.data::text AS text FROM unnest($1::json[]) WITH ORDINALITY AS r (data, place) ORDER BY r.place',
    [jsonArray(texts)],
  );
  expect(rows.map(({ text }) => text)).toEqual(texts);
});
