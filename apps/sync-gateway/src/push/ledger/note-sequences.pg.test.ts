import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { TestDatabase } from '@sync/postgres/testing';
import { gatewayDatabase } from '../../testing/gateway-rig.ts';

let test: TestDatabase;
beforeAll(async () => {
  test = await gatewayDatabase(2);
});
afterAll(() => test.drop());

/** Pushes of one device with these numbers; @returns whether it counts from anew, with each of them */
async function after(pushes: readonly (readonly (number | null)[])[], before?: object): Promise<boolean[]> {
  const device = randomUUID();
  return test.database.inTenant('acme', async (tx) => {
    if (before) {
      await tx.query(
        'INSERT INTO device_sequence SELECT * FROM json_populate_record(NULL::device_sequence, $1)',
        [JSON.stringify({ tenant_id: 'acme', device_id: device, ...before })],
      );
    }
    const answers: boolean[] = [];
    for (const numbers of pushes) {
      await tx.query('SELECT note_sequences($1, $2, $3)', ['acme', device, numbers]);
      const cleared = `WITH before AS (SELECT repeated_at FROM device_sequence WHERE device_id = $1)
        UPDATE device_sequence SET repeated_at = NULL WHERE device_id = $1
        RETURNING (SELECT repeated_at IS NOT NULL FROM before) AS anew`;
      const [row] = await tx.query<{ anew: boolean }>(cleared, [device]);
      answers.push(row?.anew ?? false);
    }
    return answers;
  });
}

it.each([
  ['one that counts on', [[1, 2], [3], [4, 5]], [false, false, false]],
  ['one whose requests lost their order', [[4, 5], [1, 2], [3], [6]], [false, false, false, false]],
  ['one that uses a number again', [[1, 2, 3], [3]], [false, true]],
  [
    'one that was restored and goes on from there',
    [[1, 2, 3, 4], [2], [3], [4, 5]],
    [false, true, false, false],
  ],
  ['one that was restored twice', [[1, 2, 3], [2, 3], [2]], [false, true, true]],
  ['one without numbers', [[null], [null], []], [false, false, false]],
])('%s', async (_, pushes, anew) => {
  expect(await after(pushes)).toEqual(anew);
});

it('fills the gaps of one that leaves many', async () => {
  const sparse = Array.from({ length: 40 }, (_, at) => [1_000 + at * 10]);
  const answers = await after([...sparse, [1_385], [1_005]]);
  expect(answers.slice(0, 40)).not.toContain(true);
  // One gap is remembered, the other one is not any more.
  expect(answers.slice(40)).toEqual([false, true]);
});

it.each([
  ['knew the highest alone', { highest: 5 }, [[6], [3]], [false, true]],
  ['went on after this version', { highest: 9, received: '{[1,4)}' }, [[10], [7]], [false, true]],
])('takes all up to the highest for used where a gateway from before %s', async (_, row, pushes, anew) => {
  expect(await after(pushes, row)).toEqual(anew);
});
