/** How a device's store begins, begins anew, and ends. Always called within `exclusively`. */
import { givenUp } from '../outbox/entry.ts';
import { TABLE_NAMES, isDamaged } from '../storage/store.ts';
import { newStoreId } from './guarded-store.ts';
import type { LocalState } from './local-state.ts';
import { inFirstGeneration, ownCounts } from './put-back.ts';
import { otherDevice, readAll, rescueWrites } from './read-store.ts';
import { salvage } from './salvage.ts';
import { DEVICE, LOST, assertFormat, devicePut, entryPut, isSame } from './stored-rows.ts';

/** After the store was cleared, other tabs may have given numbers that this one has not heard of. */
const NUMBERS_LEFT_FREE = 10_000;

/**
 * Reads scopes and outbox. A store of this device that is damaged begins anew with what can be read of its
 * outbox.
 * @throws SyncError `other_device` where the store belongs to another one
 * @throws StorageError; `damaged` where it cannot be read whose store it is
 */
export async function openStore(local: LocalState): Promise<void> {
  const { store, identity } = local;
  for (;;) {
    const { store: id } = await store.look();
    const [device] = await store.get('meta', [DEVICE]);
    if (device) assertFormat(device);
    const isMine = device && isSame(device, identity);
    if (isMine && id !== 0) break;
    // One that was revoked has left nothing.
    if (device && !isMine && !device['isRevoked']) throw otherDevice(device);
    const change = { puts: [devicePut(identity, local.revocation)], counters: { store: newStoreId() } };
    await store.commitIf(change, { store: id });
  }
  if (await rescueAll(local)) await rebuildStore(local);
}

/** @returns whether the store is damaged: then only what can be read of the outbox was read */
async function rescueAll(local: LocalState): Promise<boolean> {
  try {
    await readAll(local);
    return false;
  } catch (error) {
    if (!isDamaged(error)) throw error;
    await readAll(local, 'outbox_as_far_as_readable');
    return true;
  }
}

/** See {@link LocalState.rebuild}. */
export async function rebuildStore(local: LocalState): Promise<void> {
  while (!(await tryToRebuild(local)));
}

/** @returns false where it is to be tried again, for another tab has stored something */
async function tryToRebuild(local: LocalState): Promise<boolean> {
  const { known } = local.store;
  const { store, led, sequence } = await local.store.look();
  if (store !== 0 && store !== known.store) return !(await rescueAll(local));
  // What other tabs have stored meanwhile goes with everything else unless it is in memory.
  const lost = store === 0 ? [] : await rescueWrites(local, led);
  const { damaged } = await salvage(local.store, 'outcome');
  const lostWrites = local.lostWrites + lost.length + damaged.length;
  const entries = [...local.mirror.outbox.all()].map(inFirstGeneration);
  const last = Math.max(sequence, known.sequence);
  const change = {
    deletePrefixes: TABLE_NAMES.filter((table) => table !== 'outcome').map((table) => ({
      table,
      prefix: '',
    })),
    deletes: damaged.map((key) => ({ table: 'outcome', key }) as const),
    puts: [devicePut(local.identity, local.revocation), ...entries.map(entryPut)],
    counters: {
      ...ownCounts(entries, local.own),
      // Another tab may have them in memory still: see `putBack`.
      ...Object.fromEntries(lost.map((key) => [LOST + key, 1])),
      [LOST]: lostWrites,
      sequence: store === 0 ? last + NUMBERS_LEFT_FREE : last,
    },
  };
  // A leader may have changed a write since it was read: see `Increments.merge`.
  if (!(await local.store.replace(change, { store, led, sequence }))) return false;
  local.lostWrites = lostWrites;
  known.sequence = change.counters.sequence;
  local.mirror.empty();
  local.entities.forget();
  for (const entry of entries) local.mirror.setEntry(entry);
  return true;
}

/** See {@link LocalState.wipe}. */
export async function wipeStore(local: LocalState): Promise<void> {
  const { store, sequence } = await local.store.look();
  const last = Math.max(sequence, local.store.known.sequence);
  const revocation = { isRevoked: true, times: local.revocation.times + 1 };
  const puts = [devicePut(local.identity, revocation)];
  await local.store.replaceAsLeader({ isAnew: true, puts, counters: { sequence: last } }, store);
  local.revocation = revocation;
  local.lostWrites = 0;
  local.store.known.sequence = last;
  local.strayOutcomes.clear();
  local.entities.forget();
  for (const entry of local.mirror.empty()) local.mirror.setEntry(givenUp(entry));
}
