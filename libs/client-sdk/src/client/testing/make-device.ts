import { HandClock } from '../../clock/hand-clock.ts';
import { IDENTITY, KEY, SCOPE } from '../../local/testing/crashing-device.ts';
import { ModelServer } from '../../local/testing/model-server.ts';
import { MemoryDisk, MemoryStore } from '../../storage/memory-store.ts';
import type { Store } from '../../storage/store.ts';
import { createSyncClient } from '../create-sync-client.ts';
import type { EntityType } from '../entity-type.ts';
import { ModelTransport } from './model-transport.ts';

export interface DeviceOptions {
  readonly disk?: MemoryDisk;
  /** On the disk, unless given. */
  readonly store?: Store;
  /** The app's own type `note`. */
  readonly note?: EntityType<object>;
  /** What the server has. */
  readonly entityType?: string;
  readonly hasSocket?: boolean;
}

/** A whole device on a server that is only a model, and on a clock that a test turns by hand. */
export async function makeDevice(options: DeviceOptions = {}) {
  const {
    disk = new MemoryDisk(),
    store = new MemoryStore(disk),
    note = {},
    entityType = 'note',
    hasSocket = false,
  } = options;
  const clock = new HandClock(Date.parse('2026-01-01T00:00:00.000Z'));
  const transport = new ModelTransport(new ModelServer(SCOPE, entityType), hasSocket);
  const client = await createSyncClient({
    ...{ identity: IDENTITY, key: KEY, transport, clock, random: () => 0.5 },
    ...{ store, entities: { note: note as EntityType } },
  });
  return { client, clock, transport, notes: client.entity('note') };
}

/** Everything that needs no time has happened. */
export async function quiet(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** Lets so much time pass, in a hundred steps. */
export async function pass(clock: HandClock, ms: number): Promise<void> {
  const steps = 100;
  for (let at = 0; at < steps; at += 1) {
    clock.advance(ms / steps);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await quiet();
}
