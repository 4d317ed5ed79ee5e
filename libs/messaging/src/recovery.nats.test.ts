import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { rm } from 'node:fs/promises';
import type { PartitionedConsumer } from './partitioned-consumer.ts';
import type { OutboxRelay } from './relay.ts';
import { HopRig } from './testing/hop-rig.ts';

let rig: HopRig;
let relay: OutboxRelay;
let consumer: PartitionedConsumer;
beforeEach(async () => {
  rig = await HopRig.open({ ownNats: true });
  relay = await rig.startRelay({ announceMs: 200 });
  consumer = await rig.startConsumer();
});
afterEach(() => rig.close());

async function expectEverythingOnce(count: number): Promise<void> {
  await rig.untilEffects(count);
  expect(await rig.payloads()).toEqual(rig.expectedPayloads());
}

it('NATS killed under load: everything arrives once', async () => {
  await rig.write(200);
  const writing = rig.write(400, 5);
  await rig.nats.kill('SIGKILL');
  await writing;
  await rig.nats.restart();
  await rig.write(50);
  await expectEverythingOnce(650);
});

it('NATS killed and its store wiped: streams and consumers are made again, everything arrives once', async () => {
  await rig.write(200);
  await rig.until('some arrived', async () => (await rig.effects()).length > 20);
  await rig.nats.kill('SIGKILL');
  await rm(rig.nats.storeDir, { recursive: true, force: true });
  await rig.write(100);
  await rig.nats.restart();
  await expectEverythingOnce(300);
  // The replay has brought everything even where nobody made the stream again.
  const { streams } = await rig.jetstreamManager();
  await rig.until('the stream is there', async () => {
    const found = await streams.list().next();
    return found.some(({ config }) => config.name === rig.stream.name);
  });
});

it('stream deleted: made again by whoever needs it first', async () => {
  await rig.write(100);
  const { streams } = await rig.jetstreamManager();
  await streams.delete(rig.stream.name);
  await rig.write(100);
  await expectEverythingOnce(200);
});

it('stream purged and recreated at sequence 1 under a running consumer', async () => {
  await rig.write(100);
  await rig.untilEffects(100);
  const { streams } = await rig.jetstreamManager();
  const { config } = await streams.info(rig.stream.name);
  await streams.delete(rig.stream.name);
  await streams.add(config);
  await rig.write(30);
  await expectEverythingOnce(130);
});

it('durable consumer deleted: made again, resumes from the watermark', async () => {
  await rig.write(100);
  await rig.untilEffects(100);
  const { consumers } = await rig.jetstreamManager();
  for (const partition of [0, 1]) await consumers.delete(rig.stream.name, `test-${partition}`);
  await rig.write(50);
  await expectEverythingOnce(150);
});

it('relay and consumer stop while NATS is away, and give their leases back', async () => {
  await rig.write(20);
  await rig.untilEffects(20);
  await rig.nats.kill('SIGKILL');
  await Promise.all([relay.stop(), consumer.stop()]);
  for (const { database } of [rig.producerDb, rig.consumerDb]) {
    const held = await database.call(
      'held',
      `SELECT name FROM sync_lease WHERE expires_at > clock_timestamp()`,
      [],
    );
    expect(held).toEqual([]);
  }
});
