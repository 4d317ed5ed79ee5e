import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { appendToOutbox } from './outbox.ts';
import { HopRig } from './testing/hop-rig.ts';

const GATHER_MS = 400;

let rig: HopRig;
beforeEach(async () => {
  rig = await HopRig.open({ gatherMs: GATHER_MS });
});
afterEach(() => rig.close());

async function writeOne(partition: number, element: number): Promise<void> {
  const row = { stream: rig.stream.name, partition, payload: `[${element}]` };
  await rig.producerDb.database.transaction((tx) => appendToOutbox(tx, [row]));
}

/** What arrived in a partition, and in how many messages. */
async function arrived(partition: number): Promise<{ elements: unknown[]; messages: number }> {
  const payloads = (await rig.payloads())[String(partition)] ?? [];
  return { elements: payloads.flatMap((one) => JSON.parse(one) as unknown[]), messages: payloads.length };
}

describe('a relay of a stream that gathers', () => {
  it('brings all events of many transactions over once, in order and in few messages', async () => {
    const relay = await rig.startRelay();
    await rig.startConsumer();
    const numbers = Array.from({ length: 60 }, (_, at) => at);
    for (const number of numbers) {
      await writeOne(number % 2, number);
      relay.kick();
    }
    await rig.until('all arrived', async () => {
      return (await arrived(0)).elements.length + (await arrived(1)).elements.length === numbers.length;
    });
    for (const partition of [0, 1]) {
      const { elements, messages } = await arrived(partition);
      expect(elements).toEqual(numbers.filter((number) => number % 2 === partition));
      expect(messages).toBeLessThan(elements.length / 2);
    }
  });

  it('waits for others no longer than it is told', async () => {
    const relay = await rig.startRelay({ pollMs: 60_000 });
    await rig.startConsumer();
    await writeOne(0, 0);
    relay.kick();
    await rig.untilEffects(1);
    const startedMs = performance.now();
    for (let number = 1; (await arrived(0)).messages < 2; number += 1) {
      await writeOne(0, number);
      // Each kick for itself would put the message off for ever.
      relay.kick();
    }
    expect(performance.now() - startedMs).toBeGreaterThan(GATHER_MS / 2);
  });
});
