import { expect, it } from '@jest/globals';
import { LiveList } from './live-list.ts';

type Item = { readonly id: string; readonly value?: number };

/** A source that a test changes, and answers by hand. */
function makeList() {
  const answers: ((items: Item[]) => void)[] = [];
  let listeners = 0;
  let change: () => void = () => undefined;
  const list = new LiveList<Item>({
    read: () => new Promise((resolve) => answers.push(resolve)),
    listen: (listener) => {
      listeners += 1;
      change = listener;
      return () => {
        listeners -= 1;
      };
    },
  });
  const answer = async (at: number, items: Item[]): Promise<void> => {
    answers[at]?.(items);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { list, answer, change: () => change(), listeners: () => listeners };
}

it('is the same object while what is read is, and each item as well', async () => {
  const { list, answer, change } = makeList();
  let told = 0;
  list.subscribe(() => (told += 1));
  expect(list.snapshot()).toEqual({ state: 'loading', items: [], error: null });
  await answer(0, [{ id: 'a' }, { id: 'b' }]);
  const before = list.snapshot();
  change();
  await answer(1, [{ id: 'a' }, { id: 'b' }]);
  expect(list.snapshot()).toBe(before);
  change();
  await answer(2, [{ id: 'a' }, { id: 'b', value: 1 }]);
  expect(list.snapshot().items[0]).toBe(before.items[0]);
  expect(list.snapshot().items[1]).toEqual({ id: 'b', value: 1 });
  expect(told).toBe(2);
});

it('takes the answer of the last read only', async () => {
  const { list, answer, change } = makeList();
  list.subscribe(() => undefined);
  change();
  await answer(1, [{ id: 'new' }]);
  await answer(0, [{ id: 'old' }]);
  expect(list.snapshot().items).toEqual([{ id: 'new' }]);
});

it('listens once for all who want to be told, and not without anybody', () => {
  const { list, listeners } = makeList();
  const stops = [list.subscribe(() => undefined), list.subscribe(() => undefined)];
  expect(listeners()).toBe(1);
  for (const stop of [...stops, ...stops]) stop();
  expect(listeners()).toBe(0);
  list.subscribe(() => undefined)();
  expect(listeners()).toBe(0);
});

it('says why it could not be read, and keeps what it had', async () => {
  let fails = false;
  const fault = new Error('no disk');
  const list = new LiveList<Item>({
    read: async () => (fails ? Promise.reject(fault) : [{ id: 'a' }]),
    listen: () => () => undefined,
  });
  list.subscribe(() => undefined);
  await new Promise((resolve) => setImmediate(resolve));
  fails = true;
  list.refresh();
  await new Promise((resolve) => setImmediate(resolve));
  expect(list.snapshot()).toEqual({ state: 'failed', items: [{ id: 'a' }], error: fault });
});
