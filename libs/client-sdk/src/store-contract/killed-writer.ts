import type { Commit, Store } from '../storage/store.ts';
import { assertSame } from './assertions.ts';

const ROWS = 40;
const WORD = 'as long as a short note. '.repeat(8);

/**
 * Commits without end, until whoever runs it is killed: each writes all rows anew, deletes those of the
 * commit before the last, and counts.
 * @param tell hears the number of each commit that was answered, and is waited for
 */
export async function writeUntilKilled(
  store: Store,
  tell: (n: number) => void | Promise<void>,
): Promise<never> {
  const [done = 0] = await store.counters(['n']);
  for (let n = done + 1; ; n += 1) {
    if (!(await store.commit(numbered(n)))) throw new Error(`nobody else writes, and ${n} was refused`);
    await tell(n);
  }
}

function numbered(n: number): Commit {
  const rows = Array.from({ length: ROWS }, (_unused, place) => place);
  return {
    expect: { n: n - 1 },
    counters: { n },
    deletePrefixes: [{ table: 'outbox', prefix: `${n - 2}\0` }],
    puts: rows.flatMap((place) => [
      { table: 'entity' as const, key: `k${place}`, value: { n, WORD } },
      { table: 'outbox' as const, key: `${n}\0${place}`, value: { n } },
    ]),
  };
}

/**
 * @param told the greatest number that was answered before the kill
 * @throws Error when a commit is lost or there in part
 */
export async function assertNothingLost(store: Store, told: number): Promise<void> {
  const [n = 0] = await store.counters(['n']);
  // The last one may have been stored without its answer.
  if (n !== told && n !== told + 1) throw new Error(`${told} commits were answered, ${n} are there`);
  const entities = await store.list('entity', '');
  assertSame(
    [...new Set(entities.map(({ value }) => value['n']))],
    n === 0 ? [] : [n],
    'numbers of entities',
  );
  assertSame(entities.length, n === 0 ? 0 : ROWS, 'entities');
  const mutations = await store.list('outbox', '');
  const expected = [n - 1, n].filter((one) => one > 0);
  assertSame(mutations.length, expected.length * ROWS, 'mutations');
  const numbers = new Set(mutations.map(({ value }) => value['n'] as number));
  assertSame(
    [...numbers].sort((a, b) => a - b),
    expected,
    'numbers of mutations',
  );
}
