import { EventEmitter } from 'node:events';
import { expect, it } from '@jest/globals';
import type { Asker } from './fair-line.ts';
import { FairPlaces, type Place } from './fair-places.ts';

const of = (tenantId: string, callerId = 'c'): Asker => ({ tenantId, callerId });
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Enters, and notes the name once it is inside. */
async function note(places: FairPlaces, asker: Asker, name: string, order: string[]): Promise<Place> {
  const place = await places.enter({ asker });
  order.push(name);
  return place;
}

it('lets only so many in at once, those of one caller in their order, and a failure frees its place', async () => {
  const places = new FairPlaces({ places: 2 });
  const order: number[] = [];
  let inside = 0;
  let most = 0;
  const works = Array.from({ length: 6 }, (_each, at) =>
    places.run(of('t'), async () => {
      order.push(at);
      inside += 1;
      most = Math.max(most, inside);
      await turn();
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
  expect(await places.run(of('t'), async () => 'free again')).toBe('free again');
  expect([places.taken, places.waiting]).toEqual([0, 0]);
});

it('lets a tenant that comes last in before the flood of another one, and never gives one tenant all', async () => {
  const places = new FairPlaces({ places: 4 });
  const order: string[] = [];
  const flood = Array.from({ length: 20 }, (_each, at) =>
    note(places, of('hostile', `d${at}`), `hostile ${at}`, order),
  );
  await turn();
  expect(places.taken).toBe(3);
  const victim = note(places, of('victim'), 'victim', order);
  await turn();
  expect(order.at(-1)).toBe('victim');
  const next = note(places, of('victim'), 'victim again', order);
  (await flood[0])?.leave();
  await turn();
  expect(order.at(-1)).toBe('victim again');
  for (const each of [...flood.slice(1), victim, next]) (await each).leave();
  expect([places.taken, places.waiting]).toEqual([0, 0]);
});

it('tells whoever waits too long to come back, and keeps no place for them', async () => {
  const places = new FairPlaces({ places: 1, waitMs: 20 });
  const inside = await places.enter({ asker: of('t') });
  await expect(places.enter({ asker: of('t') })).rejects.toMatchObject({
    code: 'unavailable',
    options: { headers: { 'retry-after': '2' } },
  });
  const next = places.run(of('t'), async () => 'next');
  inside.leave();
  inside.leave();
  expect(await next).toBe('next');
  expect([places.taken, places.waiting]).toEqual([0, 0]);
});

it('forgets whoever has gone while waiting', async () => {
  const places = new FairPlaces({ places: 1 });
  const inside = await places.enter({ asker: of('t') });
  const stream = new EventEmitter();
  const gone = places.enter({ asker: of('t'), stream });
  stream.emit('close');
  await expect(gone).rejects.toMatchObject({ code: 'unavailable' });
  inside.leave();
  expect([places.taken, places.waiting, stream.listenerCount('close')]).toEqual([0, 0, 0]);
});

it.each([
  ['requests', { maxWaiting: 3 }, 1],
  ['bytes', { maxWaitingBytes: 30 }, 10],
])(
  'refuses the newest of the tenant that has most of a line of too many %s',
  async (_what, bounds, bytes) => {
    const places = new FairPlaces({ places: 1, ...bounds });
    const inside = await places.enter({ asker: of('other') });
    const flood = ['a', 'b', 'c'].map((callerId) => places.enter({ asker: of('hostile', callerId), bytes }));
    const ends = Promise.allSettled(flood);
    const victim = places.enter({ asker: of('victim'), bytes });
    inside.leave();
    const refused = { code: 'rate_limited', options: { headers: { 'retry-after': '2' } } };
    await expect(flood[2]).rejects.toMatchObject(refused);
    for (const each of [flood[0], victim, flood[1]]) (await each)?.leave();
    await ends;
    expect([places.taken, places.waiting]).toEqual([0, 0]);
  },
);

it('has fewer places when it is told so, as soon as those who are inside have ended', async () => {
  const places = new FairPlaces({ places: 4 });
  const inside = await Promise.all(['a', 'b', 'c', 'd'].map((tenant) => places.enter({ asker: of(tenant) })));
  places.places = 2;
  const order: string[] = [];
  const next = note(places, of('e'), 'e', order);
  inside[0]?.leave();
  inside[1]?.leave();
  await turn();
  expect(order).toEqual([]);
  inside[2]?.leave();
  await next;
  const more = note(places, of('f'), 'f', order);
  places.places = 4;
  await more;
  expect(order).toEqual(['e', 'f']);
});
