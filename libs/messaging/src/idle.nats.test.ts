import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Database } from '@sync/postgres';
import { subjects } from '@sync/protocol';
import { HopRig } from './testing/hop-rig.ts';

let rig: HopRig;
beforeEach(async () => {
  rig = await HopRig.open();
});
afterEach(() => rig.close());

/** The database, and how often each statement was sent to it. */
function counted(database: Database): Pick<Database, 'call'> & { readonly calls: Map<string, number> } {
  const calls = new Map<string, number>();
  return {
    calls,
    call: (name, text, values) => {
      calls.set(name, (calls.get(name) ?? 0) + 1);
      return database.call(name, text, values);
    },
  };
}

/** Long enough for a hundred of the intervals that the tests set. */
const WATCHED_MS = 2_000;

describe('a relay with nothing to do', () => {
  it('looks for rows ever less often, and publishes at once what it is told of', async () => {
    const database = counted(rig.producerDb.database);
    const relay = await rig.startRelay({ database, pollMs: 20 });
    await rig.write(10);
    relay.kick();
    await rig.until('10 published', () => rig.counts.relayPublished === 10);
    database.calls.clear();
    await sleep(WATCHED_MS);
    // 20, 40 and 80 ms apart, then 160.
    expect(database.calls.get('sync_outbox_number') ?? 0).toBeLessThanOrEqual(20);
    await rig.write(10);
    await rig.until('found without a kick', () => rig.counts.relayPublished === 20);
  });

  it('announces its heads ever less often, and soon again when they moved', async () => {
    let announced: { partition: string; number: number }[] = [];
    const listener = await rig.connect('listener');
    listener.subscribe(subjects.relayHeads(rig.stream.name), {
      callback: (_error, message) => {
        const [partition = ''] = message.subject.split('.').slice(-2);
        announced.push({ partition, number: message.json<{ number: number }>().number });
      },
    });
    await listener.flush();
    const relay = await rig.startRelay({ announceMs: 20 });
    await rig.until('announced', () => announced.length > 10);
    announced = [];
    await sleep(WATCHED_MS);
    // Of each of two partitions: 20, 40, 80 and 160 ms apart, then 200.
    expect(announced.length).toBeLessThanOrEqual(30);
    await rig.write(20);
    relay.kick();
    await rig.until('both heads were announced twice', () =>
      ['0', '1'].every((own) => {
        return announced.filter(({ partition, number }) => partition === own && number === 10).length >= 2;
      }),
    );
  });
});
