import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Database } from '@sync/postgres';
import type { Batch } from './consumer-context.ts';
import { appendToOutbox } from './outbox.ts';
import { HopRig } from './testing/hop-rig.ts';
import { recordEffects } from './testing/record-effects.ts';

const PARTITIONS = 8;
/** Long enough for a message of every partition to arrive on a machine that does other work. */
const LINGER_MS = 2_000;

let rig: HopRig;
let transactions: (readonly Batch[])[];
beforeEach(async () => {
  rig = await HopRig.open({ partitions: PARTITIONS });
  transactions = [];
});
afterEach(() => rig.close());

const record = recordEffects('w');

/** A consumer that holds all partitions. */
async function startConsumer(options: Parameters<HopRig['startConsumer']>[0] = {}): Promise<void> {
  const { handle = record, ...more } = options;
  const consumer = await rig.startConsumer({
    ...more,
    handle: async (tx, batches) => {
      transactions.push(batches);
      return handle(tx, batches);
    },
  });
  await rig.until('all are held', () => consumer.partitions().length === PARTITIONS);
}

async function send(partition: number, payload: string): Promise<void> {
  const row = { stream: rig.stream.name, partition, payload: JSON.stringify(payload) };
  await rig.producerDb.database.transaction((tx) => appendToOutbox(tx, [row]));
}

const partitionsOf = (batches: readonly Batch[]): unknown[] => batches.map(({ partition }) => partition);

describe('what waits in several partitions', () => {
  it('is handled in one transaction', async () => {
    await startConsumer({ lingerMs: LINGER_MS });
    await rig.startRelay();
    await rig.write(2 * PARTITIONS);
    await rig.untilEffects(2 * PARTITIONS);
    expect(transactions).toHaveLength(1);
    expect(partitionsOf(transactions[0] ?? []).sort()).toEqual([...Array(PARTITIONS).keys()]);
    expect(await rig.payloads()).toEqual(rig.expectedPayloads());
  });

  it('does not wait for a transaction that takes long', async () => {
    const gate = Promise.withResolvers<undefined>();
    await startConsumer({
      handle: async (tx, batches) => {
        if (partitionsOf(batches).includes(0)) await gate.promise;
        return record(tx, batches);
      },
    });
    await rig.startRelay();
    await send(0, 'slow');
    await rig.until('it is in hand', () => transactions.length === 1);
    for (const partition of [1, 2, 3]) await send(partition, 'quick');
    await rig.untilEffects(3);
    gate.resolve(undefined);
    await rig.untilEffects(4);
    expect((await rig.effects()).map(({ payload }) => payload)).toEqual([
      ...Array<string>(3).fill('"quick"'),
      '"slow"',
    ]);
  });
});

describe('a poisoned partition', () => {
  it('fails the others once, and then fails alone', async () => {
    let poisoned = true;
    await startConsumer({
      lingerMs: LINGER_MS,
      handle: async (tx, batches) => {
        await record(tx, batches);
        if (poisoned && partitionsOf(batches).includes(0)) throw new Error('poison');
      },
    });
    await rig.startRelay();
    await rig.write(PARTITIONS);
    await rig.untilEffects(PARTITIONS - 1);
    await rig.write(2 * PARTITIONS);
    await rig.untilEffects(3 * (PARTITIONS - 1));
    const failed = transactions.filter((batches) => partitionsOf(batches).includes(0));
    expect(failed[0]).toHaveLength(PARTITIONS);
    expect(failed.length).toBeGreaterThan(1);
    expect(new Set(failed.slice(1).map(({ length }) => length))).toEqual(new Set([1]));
    poisoned = false;
    await rig.untilEffects(3 * PARTITIONS);
    expect(await rig.payloads()).toEqual(rig.expectedPayloads());
    let written = 3 * PARTITIONS;
    await rig.until('it shares again', async () => {
      await rig.write(PARTITIONS);
      await rig.untilEffects((written += PARTITIONS));
      return transactions.at(-1)?.length === PARTITIONS;
    });
  });
});

describe('a partition whose lease was stolen', () => {
  it('is left out of the transaction, and goes on elsewhere', async () => {
    const { database } = rig.consumerDb;
    const steal = (): Promise<unknown> =>
      database.call(
        'steal',
        `UPDATE sync_lease SET holder = 'thief', token = token + 1,
                               expires_at = clock_timestamp() + interval '2 seconds'
         WHERE name = $1`,
        [`consume:test:${rig.stream.name}:0`],
      );
    let stealing = true;
    const stealsFirst: Pick<Database, 'call' | 'transaction'> = {
      call: (...given) => database.call(...given),
      transaction: async (work) => {
        if (stealing) await steal();
        stealing = false;
        return database.transaction(work);
      },
    };
    await startConsumer({ lingerMs: LINGER_MS, database: stealsFirst });
    await rig.startRelay();
    await rig.write(PARTITIONS);
    await rig.untilEffects(PARTITIONS - 1);
    expect(partitionsOf(transactions[0] ?? []).sort()).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(transactions).toHaveLength(1);
    expect(rig.logs.filter(({ message }) => message.startsWith('another worker'))).toHaveLength(1);
    await rig.untilEffects(PARTITIONS);
    expect(await rig.payloads()).toEqual(rig.expectedPayloads());
  });
});
