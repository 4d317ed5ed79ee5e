import { expect, it } from '@jest/globals';
import { eventMessages } from './event-messages.ts';
import { firstThatFit, groupsThatFit } from './first-that-fit.ts';

const itself = (bytes: number): number => bytes;

it('groups as many as fit in their order, and leaves what fits nowhere alone', () => {
  const groups = groupsThatFit([5, 5, 1, 20, 3], { bytes: 10 }, itself);
  expect([...groups]).toEqual([[5, 5], [1], [20], [3]]);
  expect([...groupsThatFit([1, 1, 1, 9, 1], { bytes: 10, count: 2 }, itself)]).toEqual([[1, 1], [1, 9], [1]]);
  expect([...groupsThatFit([], { bytes: 10 }, itself)]).toEqual([]);
});

it('takes the first always, and measures no more than it has to', () => {
  const measured: number[] = [];
  const bytesOf = (bytes: number): number => {
    measured.push(bytes);
    return bytes;
  };
  expect(firstThatFit([20, 1, 2], 10, bytesOf)).toEqual([20]);
  expect(measured).toEqual([20, 1]);
  expect(firstThatFit([], 10)).toEqual([]);
  expect(firstThatFit(['é', 'é', 'é'], 10)).toEqual(['é', 'é']);
});

it('keeps the events of an order key in order and in one partition, in messages that have a bound', () => {
  const stream = { name: 'SYNC_EVENTS', partitions: 2 } as Parameters<typeof eventMessages>[0];
  const events = Array.from({ length: 500 }, (_none, at) => ({ orderKey: `key ${at % 5}`, text: `${at}` }));
  const rows = eventMessages(stream, events);
  const told = rows.map(({ partition, payload }) => ({
    partition,
    numbers: JSON.parse(payload) as number[],
  }));
  for (const { numbers } of told) expect(numbers.length).toBeLessThanOrEqual(200);
  for (const key of [0, 1, 2, 3, 4]) {
    const of = told.flatMap(({ partition, numbers }) =>
      numbers.filter((number) => number % 5 === key).map((number) => ({ partition, number })),
    );
    expect(of.map(({ number }) => number)).toEqual(Array.from({ length: 100 }, (_none, at) => at * 5 + key));
    expect(new Set(of.map(({ partition }) => partition)).size).toBe(1);
  }
  const large = { orderKey: 'key', text: JSON.stringify('x'.repeat(300_000)) };
  expect(eventMessages(stream, [large, large])).toHaveLength(2);
});
