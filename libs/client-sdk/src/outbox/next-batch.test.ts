import { expect, it } from '@jest/globals';
import type { LocalMutation } from '@sync/protocol';
import fc from 'fast-check';
import type { OutboxEntry } from './entry.ts';
import { nextBatch } from './next-batch.ts';

const entryOf = (text: string): OutboxEntry => ({ mutation: { data: { text } } }) as unknown as OutboxEntry;
const bytesOf = (batch: readonly LocalMutation[]): number =>
  batch.reduce((sum, mutation) => sum + Buffer.byteLength(JSON.stringify(mutation)), 0);

it('is as long as its bounds allow in bytes, whatever the alphabet, and never empty', () => {
  const texts = fc.array(fc.string({ unit: 'binary', maxLength: 100 }), { minLength: 1, maxLength: 30 });
  const bounds = fc.record({
    mutations: fc.integer({ min: 1, max: 20 }),
    bytes: fc.integer({ min: 1, max: 3_000 }),
  });
  fc.assert(
    fc.property(texts, bounds, (given, most) => {
      const queued = given.map(entryOf);
      const all = queued.map(({ mutation }) => mutation);
      const batch = nextBatch(queued, most);
      expect(batch).toEqual(all.slice(0, batch.length));
      const fits = (count: number) => count <= most.mutations && bytesOf(all.slice(0, count)) <= most.bytes;
      expect(batch.length === 1 || fits(batch.length)).toBe(true);
      expect(batch.length === all.length || !fits(batch.length + 1)).toBe(true);
    }),
  );
});
