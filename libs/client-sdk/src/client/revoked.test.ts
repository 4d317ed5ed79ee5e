/** What is left of a device that was revoked, and what may be stored after that. */
import { describe, expect, it } from '@jest/globals';
import { HandClock } from '../clock/hand-clock.ts';
import { ModelServer } from '../local/testing/model-server.ts';
import { IDENTITY, KEY, SCOPE } from '../local/testing/crashing-device.ts';
import { failure } from '../net/failure.ts';
import { MemoryDisk, MemoryStore } from '../storage/memory-store.ts';
import { createSyncClient } from './create-sync-client.ts';
import { ModelTransport } from './testing/model-transport.ts';

const REVOKED = { name: 'SyncError', code: 'device_revoked' };

async function open(
  disk: MemoryDisk,
  transport = new ModelTransport(new ModelServer(SCOPE)),
  deviceId = 'dev',
) {
  const client = await createSyncClient({
    ...{ identity: { ...IDENTITY, deviceId }, key: KEY, transport, clock: new HandClock() },
    ...{ store: new MemoryStore(disk), entities: { note: {} } },
  });
  return { client, transport, notes: client.entity('note') };
}

/** Everything that needs no time has happened. */
async function quiet(): Promise<void> {
  for (let turn = 0; turn < 30; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** A device with something of everything, that its server has revoked. */
async function revoked() {
  const disk = new MemoryDisk();
  const device = await open(disk);
  const { client, notes, transport } = device;
  transport.server.changeItself('a', { value: 'secret' });
  client.start();
  await quiet();
  transport.fail = () => failure('revoked', 'device_revoked');
  const write = await notes.put('b', { value: 'secret' });
  const waiting = Promise.allSettled([write.wait('applied')]);
  client.networkChanged(true);
  await quiet();
  expect(client.status).toMatchObject({ state: 'revoked', reason: 'device_revoked', pending: 0 });
  return { ...device, disk, waiting };
}

/** Names of all counters and rows that are there. */
const left = (disk: MemoryDisk): string[] => [
  ...[...disk.tables].flatMap(([table, rows]) => [...rows.keys()].map((key) => `${table} ${key}`)),
  ...[...disk.counters.keys()].sort(),
];
const MARKER = ['meta device', 'led', 'sequence', 'store', 'term'];

describe('a device that was revoked', () => {
  it('has nothing of its user, neither seen nor stored, and whoever waits is told', async () => {
    const { disk, notes, waiting } = await revoked();
    expect([notes.list(), left(disk)]).toEqual([[], MARKER]);
    expect([...(disk.tables.get('meta')?.values() ?? [])].join()).toContain('"isRevoked":true');
    expect(await waiting).toMatchObject([
      { reason: { code: 'not_applied', outcome: { code: 'device_revoked' } } },
    ]);
  });

  it('stores no write, also after a restart of the app', async () => {
    const { disk, notes, client } = await revoked();
    await expect(notes.put('c', { value: 'secret' })).rejects.toMatchObject(REVOKED);
    expect(notes.list()).toEqual([]);
    await client.close();
    const again = await open(disk);
    await expect(again.notes.put('c', { value: 'secret' })).rejects.toMatchObject(REVOKED);
    expect([again.notes.list(), left(disk)]).toEqual([[], MARKER]);
  });

  it('begins from empty when it is bound anew, and counts on', async () => {
    const { client, notes, transport, disk } = await revoked();
    transport.fail = () => null;
    client.start();
    await quiet();
    expect([client.status.state, notes.list()]).toMatchObject([
      'live',
      [{ id: 'a', data: { value: 'secret' } }],
    ]);
    const write = await notes.put('c', { value: 1 });
    await write.wait('seen');
    expect(disk.counters.get('sequence')).toBe(2);
    await client.close();
    expect((await (await open(disk)).notes.load()).list()).toHaveLength(2);
  });

  it('leaves its store to another device', async () => {
    const { client, disk } = await revoked();
    await client.close();
    const other = await open(disk, undefined, 'other');
    await other.notes.put('c', { value: 1 });
    await other.client.close();
    await expect(open(disk)).rejects.toMatchObject({ code: 'other_device' });
  });
});

it('a write that another client of the store makes meanwhile is refused as well', async () => {
  const disk = new MemoryDisk();
  const writer = await open(disk);
  await writer.notes.put('b', { value: 'secret' });
  const leader = await open(disk);
  leader.transport.fail = () => failure('revoked', 'device_revoked');
  leader.client.start();
  await quiet();
  await expect(writer.notes.put('c', { value: 'secret' })).rejects.toMatchObject(REVOKED);
  expect([writer.notes.list(), left(disk)]).toEqual([[], MARKER]);
});

it('an old answer that says so empties nothing where another client leads by now', async () => {
  const disk = new MemoryDisk();
  const old = await open(disk);
  let answer: () => void = () => undefined;
  const frozen = new Promise<void>((resolve) => (answer = resolve));
  old.transport.send = async () => frozen.then(() => failure('revoked', 'device_revoked'));
  old.client.start();
  const leader = await open(disk);
  await leader.notes.put('b', { value: 1 });
  answer();
  await quiet();
  expect(leader.notes.list()).toHaveLength(1);
  await leader.client.close();
  expect((await (await open(disk)).notes.load()).list()).toHaveLength(1);
});
