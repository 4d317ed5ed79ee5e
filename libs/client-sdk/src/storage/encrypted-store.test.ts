import { describe, expect, it } from '@jest/globals';
import { STORE_CONTRACT } from '../store-contract/store-contract.ts';
import type { StorePlace } from '../store-contract/store-contract.ts';
import { EncryptedStore } from './encrypted-store.ts';
import type { StorageKey } from './encrypted-store.ts';
import { MemoryDisk, MemoryStore } from './memory-store.ts';

const SECRET = 'what nobody else may read';
const ROW = { table: 'entity', key: 'k', value: { text: SECRET } } as const;
const USES = ['encrypt', 'decrypt'] as const;

async function newKey(): Promise<StorageKey> {
  return crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, USES);
}

async function encryptedPlace(): Promise<StorePlace> {
  const [disk, key] = [new MemoryDisk(), await newKey()];
  return {
    open: async () => new EncryptedStore(new MemoryStore(disk), key),
    kill: async () => undefined,
    isForMany: true,
    histories: 50,
  };
}

describe('the contract of storage, encrypted', () => {
  it.each(STORE_CONTRACT)('$name', async ({ run }) => {
    await expect(run(await encryptedPlace())).resolves.toBeUndefined();
  });
});

describe('an encrypted store', () => {
  it('shows nothing of a value to whoever has the disk, and never the same twice', async () => {
    const disk = new MemoryDisk();
    const store = new EncryptedStore(new MemoryStore(disk), await newKey());
    await store.commit({ puts: [ROW] });
    const first = disk.tables.get('entity')?.get('k') ?? '';
    await store.commit({ puts: [ROW] });
    const second = disk.tables.get('entity')?.get('k') ?? '';
    expect(first).not.toContain(SECRET);
    expect(Buffer.from((JSON.parse(first) as { sealed: string }).sealed, 'base64').toString()).not.toContain(
      SECRET,
    );
    expect(second).not.toBe(first);
    expect(await store.get('entity', ['k'])).toEqual([ROW.value]);
  });

  it('is damaged under another key', async () => {
    const disk = new MemoryDisk();
    await new EncryptedStore(new MemoryStore(disk), await newKey()).commit({ puts: [ROW] });
    const other = new EncryptedStore(new MemoryStore(disk), await newKey());
    await expect(other.list('entity', '')).rejects.toMatchObject({ code: 'damaged' });
    await expect(other.get('entity', ['k'])).rejects.toMatchObject({ code: 'damaged' });
  });

  it.each([
    ['entity', 'other key'],
    ['outbox', 'k'],
  ] as const)('does not open a row that was moved to %s, %s', async (table, key) => {
    const inner = new MemoryStore();
    const store = new EncryptedStore(inner, await newKey());
    await store.commit({ puts: [ROW] });
    const [sealed = {}] = await inner.get('entity', ['k']);
    await inner.commit({ puts: [{ table, key, value: sealed }] });
    await expect(store.get(table, [key])).rejects.toMatchObject({ code: 'damaged' });
  });

  it.each(['iv', 'sealed'])('does not open a row whose %s was changed', async (part) => {
    const inner = new MemoryStore();
    const store = new EncryptedStore(inner, await newKey());
    await store.commit({ puts: [ROW] });
    const [sealed = {}] = await inner.get('entity', ['k']);
    const text = sealed[part] as string;
    const changed = text.replace(/^./, (letter) => (letter === 'A' ? 'B' : 'A'));
    await inner.commit({ puts: [{ ...ROW, value: { ...sealed, [part]: changed } }] });
    await expect(store.get('entity', ['k'])).rejects.toMatchObject({ code: 'damaged' });
  });

  it('does not read what was stored in clear', async () => {
    const inner = new MemoryStore();
    await inner.commit({ puts: [ROW] });
    const store = new EncryptedStore(inner, await newKey());
    await expect(store.list('entity', '')).rejects.toMatchObject({ code: 'damaged' });
  });

  it('refuses a key that it could not use', async () => {
    const onlyEncrypts = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, [
      'encrypt',
    ]);
    expect(() => new EncryptedStore(new MemoryStore(), onlyEncrypts)).toThrow('one of AES-GCM');
  });
});
