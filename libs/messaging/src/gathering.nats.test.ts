import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Batch } from './consumer-context.ts';
import { HopRig } from './testing/hop-rig.ts';
import { recordEffects } from './testing/record-effects.ts';
import { encodeNumber, messageSubject } from './wire.ts';

/** No test waits for as long: whatever is consumed was consumed because the wait ended early. */
const LINGER_MS = 3_600_000;
/** What one transaction takes, and what a partition holds. */
const BATCH = 64;
const WAITING = 128;
const RECORD = recordEffects('w');

let rig: HopRig;
let nats: NatsConnection;
let transactions: (readonly Batch[])[];

beforeEach(async () => {
  rig = await HopRig.open({ partitions: 2 });
  nats = await rig.connect('producers');
  transactions = [];
});
afterEach(() => rig.close());

async function startConsumer(options: Parameters<HopRig['startConsumer']>[0] = {}): Promise<void> {
  const { handle = RECORD, ...more } = options;
  const consumer = await rig.startConsumer({
    lingerMs: LINGER_MS,
    ...more,
    handle: async (tx, batches) => {
      transactions.push(batches);
      return handle(tx, batches);
    },
  });
  await rig.until('all are held', () => consumer.partitions().length === 2);
}

/** Publishes as the relays of these producers would, each its numbers in order, all at the same pace. */
async function publish(producers: readonly string[], numbers: readonly number[], text = ''): Promise<void> {
  const client = jetstream(nats);
  for (const number of numbers) {
    const sent = producers.map((producer) =>
      client.publish(messageSubject(rig.stream, 0, producer), JSON.stringify({ number, text }), {
        headers: encodeNumber({ producer, epoch: 'e1', number }),
      }),
    );
    await Promise.all(sent);
  }
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at + 1);
}

describe('a consumer that waits for company', () => {
  it('waits no longer once what waits fills a transaction, however many producers share it', async () => {
    const producers = ['p1', 'p2', 'p3', 'p4'];
    await publish(producers, upTo(500));
    await startConsumer();
    await rig.untilEffects(2_000 - BATCH + 1);
    const effects = await rig.effects();
    for (const producer of producers) {
      const numbers = effects.filter((one) => one.producer === producer).map(({ number }) => number);
      expect(numbers).toEqual(upTo(numbers.length));
    }
    // Waiting still pays: the transactions are full. Half, in case the broker sends something again.
    expect(transactions.length).toBeLessThan(effects.length / (BATCH / 2));
  });

  it('counts what waits in all its partitions', async () => {
    await startConsumer();
    await rig.startRelay();
    await rig.write(2 * BATCH);
    await rig.untilEffects(2 * BATCH);
    expect(await rig.payloads()).toEqual(rig.expectedPayloads());
  });

  it('waits no longer once large messages fill a transaction', async () => {
    await startConsumer();
    await publish(['p1', 'p2', 'p3'], upTo(1), 'x'.repeat(400_000));
    await rig.untilEffects(2);
    expect(transactions.map((batches) => batches.length)).toEqual([2]);
  });

  it('waits no longer in a partition that is full of what fails', async () => {
    await publish(['poisoned'], upTo(WAITING - BATCH / 2));
    await startConsumer({
      handle: async (tx, batches) => {
        if (batches.some(({ producer }) => producer === 'poisoned')) throw new Error('poison');
        return RECORD(tx, batches);
      },
    });
    await rig.until('it fails', () => rig.counts.retried > 0);
    await publish(['p1'], upTo(BATCH - 1));
    await rig.untilEffects(BATCH / 2);
    expect(new Set((await rig.effects()).map(({ producer }) => producer))).toEqual(new Set(['p1']));
  });

  it('waits no longer than the message that waits least, and takes along what waits', async () => {
    await startConsumer({ lingerMs: (payload) => (payload.includes('urgent') ? 10 : LINGER_MS) });
    await publish(['p1'], [1, 2]);
    await publish(['p2'], [1, 2], 'urgent');
    await rig.untilEffects(4);
    await publish(['p1'], [3]);
    await publish(['p2'], [3], 'urgent');
    await rig.untilEffects(6);
    const last = transactions.at(-1) ?? [];
    expect(last.map(({ producer }) => producer).sort()).toEqual(['p1', 'p2']);
  });
});
