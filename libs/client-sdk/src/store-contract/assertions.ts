import { stringify } from 'fast-check';
import { StorageError } from '../storage/store.ts';
import type { StorageErrorCode } from '../storage/store.ts';

const SHOWN = 600;

/** Jest's `expect` is not there in a browser. @throws Error with both when they differ */
export function assertSame(actual: unknown, expected: unknown, what: string): void {
  const [is, wanted] = [stringify(actual), stringify(expected)];
  if (is === wanted) return;
  let same = 0;
  while (same < is.length && is[same] === wanted[same]) same += 1;
  const from = Math.max(0, same - 100);
  const cut = (text: string): string => text.slice(from, from + SHOWN);
  throw new Error(`${what}: is ${cut(is)}, not ${cut(wanted)}`);
}

/** @throws Error unless `work` throws a StorageError of this code */
export async function assertStorageError(
  code: StorageErrorCode,
  work: () => Promise<unknown>,
  what: string,
): Promise<void> {
  const found = await work().then(
    (answer) => `the answer ${stringify(answer)}`,
    (error: unknown) => (error instanceof StorageError ? error.code : String(error)),
  );
  assertSame(found, code, what);
}
