/** What becomes of everything that is under way, or called, when a client is closed. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { IDENTITY, KEY } from '../local/testing/crashing-device.ts';
import { LocalState } from '../local/local-state.ts';
import { WriteQueue } from '../local/write-queue.ts';
import { failure } from '../net/failure.ts';
import { MemoryDisk, MemoryStore } from '../storage/memory-store.ts';
import { createSyncClient } from './create-sync-client.ts';

const CLOSED = { name: 'SyncError', code: 'closed' };

async function open(disk = new MemoryDisk()) {
  const client = await createSyncClient({
    ...{ identity: IDENTITY, key: KEY, transport: { send: async () => failure('offline', 'no network') } },
    ...{ store: new MemoryStore(disk), entities: { note: {} } },
  });
  return { client, notes: client.entity('note') };
}

describe('after close', () => {
  it('whoever waits for a write is told so', async () => {
    const { client, notes } = await open();
    const write = await notes.put('a', { value: 1 });
    const waiting = Promise.allSettled([write.wait('accepted'), write.wait('seen')]);
    await client.close();
    expect(await waiting).toMatchObject([{ reason: CLOSED }, { reason: CLOSED }]);
    await expect(write.wait('applied')).rejects.toMatchObject(CLOSED);
    expect(await write.wait('stored')).toBeNull();
  });

  it('no listener is told of what was under way, for it may read nothing any more', async () => {
    const local = new LocalState(new MemoryStore(), IDENTITY);
    await local.open();
    await local.load('note');
    const told: unknown[] = [];
    local.mirror.listen((changes) => told.push(changes));
    const place = { scope: 'user:u', entityType: 'note', entityId: 'a', schemaVersion: 1 };
    const draft = { ...place, mutationId: 'm', op: 'put' as const, data: { value: 1 }, occurredAt: '' };
    const storing = new WriteQueue(local, KEY).write(draft);
    local.beginToClose();
    await storing;
    expect([told.length, local.mirror.outbox.size]).toEqual([1, 1]);
  });

  it('whoever reads changes comes to their end', async () => {
    const { client, notes } = await open();
    await notes.load();
    const read: string[] = [];
    const reading = (async () => {
      for await (const ids of notes.changes()) read.push(...ids);
    })();
    await notes.put('a', { value: 1 });
    await client.close();
    await reading;
    expect(read).toEqual(['a']);
  });

  it('every call says so, and status stays to be read', async () => {
    const { client, notes } = await open();
    const write = await notes.put('a', { value: 1 });
    client.start();
    await client.close();
    const calls: readonly (() => unknown)[] = [
      () => client.entity('note'),
      () => client.start(),
      () => client.stop(),
      () => client.forceOffline(),
      () => client.networkChanged(true),
      () => client.tokenChanged(),
      () => client.onStatus(() => undefined),
      () => client.outcomes(),
      () => client.dismiss(write.mutationId),
      () => client.conflicts(),
      () => client.resolve('c', { kind: 'keep_client' }),
      () => notes.load(),
      () => notes.get('a'),
      () => notes.list(),
      () => notes.subscribe(() => undefined),
      () => notes.changes().next(),
      () => notes.put('a', { value: 2 }),
      () => notes.patch('a', { value: 2 }),
      () => notes.delete('a'),
      () => notes.append({ value: 2 }),
    ];
    for (const call of calls) await expect((async () => call())()).rejects.toMatchObject(CLOSED);
    expect(client.status).toMatchObject({ state: 'stopped', pending: 1 });
    expect(client.debug().status).toEqual(client.status);
    await client.close();
  });
});

it('a write at the time of close is stored and answered, or neither', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(12), { minLength: 1, maxLength: 6 }), async (pauses) => {
      const disk = new MemoryDisk();
      const { client, notes } = await open(disk);
      const puts: Promise<unknown>[] = [];
      for (const turns of pauses) {
        puts.push(notes.put(`n${puts.length}`, { value: 1 }));
        for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
      }
      const writing = Promise.allSettled(puts);
      await client.close();
      const answered = (await writing).flatMap((result, at) => {
        if (result.status === 'rejected') expect(result.reason).toMatchObject(CLOSED);
        return result.status === 'fulfilled' ? [`n${at}`] : [];
      });
      const again = await open(disk);
      const stored = (await again.notes.load()).list().map(({ id }) => id);
      expect(stored.sort()).toEqual(answered);
    }),
  );
});
