import { describe, expect, it } from '@jest/globals';
import { MemoryStore } from '../storage/memory-store.ts';
import { createSyncClient } from './create-sync-client.ts';
import type { EntityType } from './entity-type.ts';
import { makeDevice } from './testing/make-device.ts';

interface Note {
  text: string;
}

it('stores writes in the order of their calls, however long the check of one takes', async () => {
  let letPass: () => void = () => undefined;
  const checking = new Promise<void>((resolve) => (letPass = resolve));
  const slow: EntityType<Note> = {
    schema: {
      '~standard': { validate: async (value) => checking.then(() => ({ value: value as Note })) },
    },
  };
  const fast: EntityType<Note> = {};
  const client = await createSyncClient({
    identity: { tenantId: 't', userId: 'u', deviceId: 'd' },
    key: { sign: async () => '', tag: async () => '' },
    transport: { send: async () => Promise.reject(new Error('Nothing is sent before start')) },
    store: new MemoryStore(),
    entities: { slow, fast },
  });
  const stored: string[] = [];
  const written = [
    client.entity('slow').put('a', { text: 'one' }),
    client.entity('fast').put('b', { text: 'one' }),
    client.entity('slow').patch('a', { text: 'two' }),
    client.entity('fast').delete('b'),
  ].map(async (write, at) => {
    const { entityId } = await write;
    stored.push(`${at} ${entityId}`);
  });
  letPass();
  await Promise.all(written);
  expect(stored).toEqual(['0 a', '1 b', '2 a', '3 b']);
  expect(client.entity('slow').get('a')?.data).toEqual({ text: 'two' });
  expect(client.entity('fast').get('b')).toBeNull();
});

it('goes on after a write that is refused at once', async () => {
  const note: EntityType<Note> = {};
  const client = await createSyncClient({
    identity: { tenantId: 't', userId: 'u', deviceId: 'd' },
    key: { sign: async () => '', tag: async () => '' },
    transport: { send: async () => Promise.reject(new Error('Nothing is sent before start')) },
    store: new MemoryStore(),
    entities: { note },
  });
  const notes = client.entity('note');
  const refused = expect(notes.patch('a', { text: 'two' })).rejects.toMatchObject({ code: 'entity_unknown' });
  const written = notes.put('a', { text: 'one' });
  await refused;
  await written;
  expect(notes.get('a')?.data).toEqual({ text: 'one' });
});

describe.each(['constructor', '__proto__'])('an entity type %s', (name) => {
  it('is unknown where the app has not named it', async () => {
    const { client } = await makeDevice();
    expect(() => client.entity(name as 'note')).toThrow(`has not named an entity type ${name}`);
  });

  it('is one like any other where the app has', async () => {
    const client = await createSyncClient({
      identity: { tenantId: 't', userId: 'u', deviceId: 'd' },
      key: { sign: async () => '', tag: async () => '' },
      transport: { send: async () => Promise.reject(new Error('Nothing is sent before start')) },
      store: new MemoryStore(),
      entities: Object.fromEntries([[name, {}]]),
    });
    await client.entity(name).put('a', { text: 'one' });
    expect(client.entity(name).get('a')?.data).toEqual({ text: 'one' });
  });
});
