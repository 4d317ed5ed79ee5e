import { expect, it } from '@jest/globals';
import { ProblemError } from '@sync/service-kit';
import { Places } from './places.ts';

it('lets only so many in at once, the others in their order, and a failure frees its place', async () => {
  const places = new Places(2);
  const order: number[] = [];
  let inside = 0;
  let most = 0;
  const works = Array.from({ length: 6 }, (_each, at) =>
    places.run(async () => {
      order.push(at);
      inside += 1;
      most = Math.max(most, inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside -= 1;
      if (at % 2 === 0) throw new Error('no');
      return at;
    }),
  );
  const results = await Promise.allSettled(works);
  expect(most).toBe(2);
  expect(order).toEqual([0, 1, 2, 3, 4, 5]);
  expect(results.map(({ status }) => status)).toEqual([
    'rejected',
    'fulfilled',
    'rejected',
    'fulfilled',
    'rejected',
    'fulfilled',
  ]);
  expect(await places.run(async () => 'free again')).toBe('free again');
});

it('tells whoever waits too long to come back, and keeps no place for them', async () => {
  const places = new Places(1, 20);
  const { promise: end, resolve } = Promise.withResolvers<string>();
  const inside = places.run(() => end);
  await expect(places.run(async () => 'never')).rejects.toThrow(ProblemError);
  const next = places.run(async () => 'next');
  resolve('done');
  expect([await inside, await next]).toEqual(['done', 'next']);
});
