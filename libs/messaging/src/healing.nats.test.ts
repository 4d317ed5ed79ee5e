import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { jetstream } from '@nats-io/jetstream';
import { createTestDatabase, startPostgres } from '@sync/postgres/testing';
import type { Pruned } from './consumer-context.ts';
import { messagingMigrations } from './migration.ts';
import { appendToOutbox } from './outbox.ts';
import { HopRig } from './testing/hop-rig.ts';

let rig: HopRig;
beforeEach(async () => {
  rig = await HopRig.open();
});
afterEach(() => rig.close());

async function published(count: number): Promise<void> {
  await rig.until(`${count} published`, () => rig.counts.relayPublished >= count);
}

describe('a hole in the stream', () => {
  it('is filled from the outbox, in order', async () => {
    await rig.startRelay();
    await rig.write(200);
    await published(200);
    const { streams } = await rig.jetstreamManager();
    for (const sequence of [1, 7, 8, 9, 60, 61, 150, 200])
      await streams.deleteMessage(rig.stream.name, sequence);
    await rig.startConsumer();
    await rig.untilEffects(200);
    expect(await rig.payloads()).toEqual(rig.expectedPayloads());
    expect(rig.counts.gap).toBeGreaterThan(0);
  });

  it('is filled page by page when it is long', async () => {
    await rig.startRelay();
    await rig.write(1_500, 500);
    await published(1_500);
    const { streams } = await rig.jetstreamManager();
    await streams.purge(rig.stream.name, { seq: 1_450 });
    await rig.startConsumer();
    await rig.untilEffects(1_500);
    expect(await rig.payloads()).toEqual(rig.expectedPayloads());
  });

  it('heals at the tail too, without new traffic', async () => {
    await rig.startRelay({ announceMs: 100 });
    await rig.write(50);
    await published(50);
    const { streams } = await rig.jetstreamManager();
    await streams.purge(rig.stream.name);
    await rig.startConsumer();
    await rig.untilEffects(50);
    expect(await rig.payloads()).toEqual(rig.expectedPayloads());
  });

  it('waits for a producer that is down, and other producers go on meanwhile', async () => {
    const relay = await rig.startRelay();
    await rig.write(20);
    await published(20);
    await relay.stop();
    const manager = await rig.jetstreamManager();
    await manager.streams.deleteMessage(rig.stream.name, 1);
    await rig.startConsumer();
    await rig.until('the replay failed', () => rig.counts.retried > 0);
    const plain = `${rig.stream.subjectPrefix}.0.billing`;
    await jetstream(await rig.connect()).publish(plain, '"plain"');
    await jetstream(await rig.connect()).publish(`${rig.stream.subjectPrefix}.1.billing`, '"plain"');
    await rig.until(
      'plain events',
      async () => (await rig.effects()).filter((row) => row.number === null).length === 2,
    );
    await rig.startRelay();
    await rig.untilEffects(22);
    const mine = (await rig.effects()).filter(
      ({ partition, number }) => partition === '1' && number !== null,
    );
    expect(mine.map(({ payload }) => payload)).toEqual(rig.expectedPayloads()['1']);
  });
});

describe('a pull that the broker lost without a word', () => {
  it('is made again as soon as something is missing', async () => {
    const nats = await rig.connect('consumer');
    const publish = nats.publish.bind(nats);
    let losing = true;
    nats.publish = (subject, ...rest) => {
      if (!losing || !subject.includes('CONSUMER.MSG.NEXT')) publish(subject, ...rest);
    };
    await rig.startRelay({ announceMs: 100 });
    await rig.startConsumer({ nats });
    await rig.write(10);
    await rig.untilEffects(10);
    expect(rig.counts.replayed).toBe(10);
    losing = false;
    let written = 10;
    await rig.until('nothing is replayed any more', async () => {
      const replayed = rig.counts.replayed;
      await rig.write(10);
      written += 10;
      await rig.untilEffects(written);
      return rig.counts.replayed === replayed;
    });
    expect(await rig.payloads()).toEqual(rig.expectedPayloads());
    expect(rig.logs.filter(({ message }) => message.startsWith('consumer is broken'))).toEqual([]);
  });
});

describe('what is past retention', () => {
  it('is reported once, and consuming goes on after the rebuild', async () => {
    const relay = await rig.startRelay({ retentionMs: 1, pruneMs: 50 });
    await rig.write(20);
    await rig.until('all pruned', async () => {
      const [row] = await rig.producerDb.database.call<{ rows: number }>(
        'rows',
        'SELECT count(*)::int4 AS rows FROM sync_outbox',
        [],
      );
      return rig.counts.relayPublished === 20 && row?.rows === 0;
    });
    await relay.stop();
    const { streams } = await rig.jetstreamManager();
    await streams.purge(rig.stream.name);
    const pruned: Pruned[] = [];
    let failures = 1;
    await rig.startConsumer({
      onPruned: async (report) => {
        failures -= 1;
        if (failures >= 0) throw new Error('the rebuild failed');
        pruned.push(report);
      },
    });
    await rig.startRelay({ announceMs: 100 });
    await rig.write(6);
    await rig.untilEffects(6);
    expect((await rig.effects()).map(({ payload }) => payload).sort()).toEqual(
      [21, 22, 23, 24, 25, 26].map((n) => JSON.stringify({ n })),
    );
    expect(pruned.map(({ partition, oldest, producer }) => [partition, oldest, producer]).sort()).toEqual([
      [0, 11, rig.producer],
      [1, 11, rig.producer],
    ]);
  });
});

describe('a producer whose database', () => {
  it('was set back to an earlier state starts a new epoch, and nothing new is taken for a duplicate', async () => {
    const first = await rig.startRelay();
    await rig.startConsumer();
    await rig.write(20);
    await rig.untilEffects(20);
    await first.stop();
    await rig.producerDb.database.transaction(async (tx) => {
      await tx.query('DELETE FROM sync_outbox WHERE number > 4');
      await tx.query('UPDATE sync_outbox_head SET number = 4, published = 4');
    });
    await rig.startRelay();
    await rig.write(10);
    await rig.untilEffects(30);
    expect(await rig.payloads()).toEqual(rig.expectedPayloads());
    expect(rig.logs.filter(({ level }) => level === 'error').length).toBe(2); // one per partition
  });

  it('was rebuilt is followed from its first number', async () => {
    const first = await rig.startRelay();
    await rig.startConsumer();
    await rig.write(20);
    await rig.untilEffects(20);
    await first.stop();
    const migrations = messagingMigrations;
    const rebuilt = await createTestDatabase({
      postgres: await startPostgres(),
      name: 'rebuilt',
      migrations,
    });
    rig.onClose(() => rebuilt.drop());
    await rig.startRelay({ database: rebuilt.database });
    const rows = ['"x"', '"y"'].map((payload) => ({ stream: rig.stream.name, partition: 1, payload }));
    await rebuilt.database.transaction((tx) => appendToOutbox(tx, rows));
    await rig.untilEffects(22);
    const last = (await rig.effects()).slice(-2);
    expect(last.map(({ number, payload }) => [number, payload])).toEqual([
      [1, '"x"'],
      [2, '"y"'],
    ]);
  });
});
