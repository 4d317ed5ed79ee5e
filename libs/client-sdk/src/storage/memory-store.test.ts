import { describe, expect, it } from '@jest/globals';
import { STORE_CONTRACT } from '../store-contract/store-contract.ts';
import type { StorePlace } from '../store-contract/store-contract.ts';
import { MemoryDisk, MemoryStore } from './memory-store.ts';

function memoryPlace(): StorePlace {
  const disk = new MemoryDisk();
  return {
    open: async () => new MemoryStore(disk),
    kill: async () => undefined,
    isForMany: true,
    histories: 200,
  };
}

describe('the contract of storage, in memory', () => {
  it.each(STORE_CONTRACT)('$name', async ({ run }) => {
    await expect(run(memoryPlace())).resolves.toBeUndefined();
  });
});
