import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { jetstream } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import type { Batch } from './consumer-context.ts';
import { appendToOutbox } from './outbox.ts';
import { setTenants } from './set-tenants.ts';
import { HopRig } from './testing/hop-rig.ts';
import { recordEffects } from './testing/record-effects.ts';
import { encodeNumber, messageSubject } from './wire.ts';

let rig: HopRig;
beforeEach(async () => {
  rig = await HopRig.open();
});
afterEach(() => rig.close());

describe('from outbox to inbox', () => {
  it('brings every committed message over once and in order', async () => {
    const relay = await rig.startRelay();
    await rig.startConsumer();
    await rig.write(500);
    relay.kick();
    await rig.untilEffects(500);
    expect(await rig.payloads()).toEqual(rig.expectedPayloads());
  });

  it('hands over batches of one producer each, together within the bounds of a transaction', async () => {
    const transactions: (readonly Batch[])[] = [];
    const record = recordEffects('w');
    await rig.write(300);
    await rig.startRelay();
    await rig.until('all published', () => rig.counts.relayPublished === 300);
    await rig.startConsumer({
      handle: async (tx, given) => {
        transactions.push(given);
        await record(tx, given);
      },
    });
    await rig.untilEffects(300);
    const sizes = transactions.map((batches) => batches.flatMap(({ messages }) => messages).length);
    expect(sizes.length).toBeLessThan(300);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(64);
    const batches = transactions.flat();
    expect(new Set(batches.map(({ producer }) => producer))).toEqual(new Set([rig.producer]));
  });

  it('carries nothing of a transaction that rolled back', async () => {
    await rig.startRelay();
    await rig.startConsumer();
    const row = { stream: rig.stream.name, partition: 0, payload: '"never"' };
    const failing = rig.producerDb.database.transaction(async (tx) => {
      await appendToOutbox(tx, [row]);
      throw new Error('rolled back');
    });
    await expect(failing).rejects.toThrow('rolled back');
    await rig.write(10);
    await rig.untilEffects(10);
    expect(await rig.payloads()).toEqual(rig.expectedPayloads());
  });

  it('has no double effect when everything is published again, backwards and without message ids', async () => {
    await rig.startRelay();
    await rig.startConsumer();
    await rig.write(40);
    await rig.untilEffects(40);
    const rows = await rig.producerDb.database.call<{
      partition: number;
      number: string;
      payload: string;
      epoch: string;
    }>(
      'rows',
      `SELECT o.partition, o.number, o.payload, h.epoch FROM sync_outbox o
        JOIN sync_outbox_head h USING (stream, partition)
       ORDER BY o.number DESC`,
      [],
    );
    const connection = await rig.connect();
    for (const { partition, number, payload, epoch } of rows) {
      await jetstream(connection).publish(messageSubject(rig.stream, partition, rig.producer), payload, {
        headers: encodeNumber({ producer: rig.producer, epoch, number: Number(number) }),
      });
    }
    await rig.until('40 duplicates', () => rig.counts.duplicates >= 40);
    expect(await rig.payloads()).toEqual(rig.expectedPayloads());
  });

  it('goes on where another relay of the producer stopped', async () => {
    const first = await rig.startRelay();
    await rig.startConsumer();
    await rig.write(60);
    first.kick();
    await rig.until('some published', () => rig.counts.relayPublished > 0);
    await first.stop();
    await rig.startRelay();
    await rig.write(60);
    await rig.untilEffects(120);
    expect(await rig.payloads()).toEqual(rig.expectedPayloads());
  });

  it('shares the partitions out between two relays', async () => {
    const relays = [await rig.startRelay({ pollMs: 60_000 }), await rig.startRelay({ pollMs: 60_000 })];
    await rig.startConsumer();
    await rig.until('both hold one', async () => {
      const holders = await rig.producerDb.database.call<{ holder: string }>(
        'holders',
        `SELECT DISTINCT holder FROM sync_lease WHERE starts_with(name, 'relay:') AND expires_at > clock_timestamp()`,
        [],
      );
      return holders.length === 2;
    });
    await rig.write(20);
    relays[0]?.kick(); // reaches the other one by notice: neither polls within this test
    await rig.untilEffects(20);
    expect(await rig.payloads()).toEqual(rig.expectedPayloads());
  });
});

describe('a failing handler', () => {
  it('gets the same messages again until it succeeds, and only its partition waits', async () => {
    let failures = 3;
    const record = recordEffects('w');
    await rig.startRelay();
    await rig.startConsumer({
      handle: async (tx, batches) => {
        await record(tx, batches);
        if (batches.some(({ partition }) => partition === 0) && failures > 0) {
          failures -= 1;
          throw new Error('not yet');
        }
      },
    });
    await rig.write(20);
    await rig.untilEffects(20);
    expect(rig.counts.retried).toBe(3);
    expect(await rig.payloads()).toEqual(rig.expectedPayloads());
  });

  it('has no double effect when the failure comes after the commit', async () => {
    let failures = 2;
    await rig.startRelay();
    await rig.startConsumer({
      afterCommit: () => {
        failures -= 1;
        if (failures >= 0) throw new Error('lost before the acknowledgement');
      },
    });
    await rig.write(50);
    await rig.until('the broker heard about everything', () => rig.counts.duplicates > 0);
    await rig.untilEffects(50);
    expect(await rig.payloads()).toEqual(rig.expectedPayloads());
  });

  it('does not hold back another producer of the partition', async () => {
    const slow = await rig.startRelay();
    const record = recordEffects('w');
    let blocked = true;
    await rig.startConsumer({
      handle: async (tx, batches) => {
        if (blocked && batches.some(({ producer }) => producer === rig.producer)) throw new Error('blocked');
        await record(tx, batches);
      },
    });
    await rig.write(300); // more than a partition keeps waiting
    slow.kick();
    await rig.until('it fails', () => rig.counts.retried > 0);
    const other = `other-${rig.stream.name}`;
    const connection = await rig.connect();
    for (const number of [1, 2]) {
      await jetstream(connection).publish(messageSubject(rig.stream, 0, other), `"other ${number}"`, {
        headers: encodeNumber({ producer: other, epoch: 'e', number }),
      });
    }
    await rig.untilEffects(2);
    blocked = false;
    await rig.untilEffects(302);
    const mine = (await rig.effects()).filter(
      (effect) => effect.producer === rig.producer && effect.partition === '1',
    );
    expect(mine.map((effect) => effect.payload)).toEqual(rig.expectedPayloads()['1']);
  });
});

describe('tenants', () => {
  it.each(['tenantsOf', 'setTenants'] as const)('are those of the batch, given by %s', async (way) => {
    const seen: string[] = [];
    await rig.startRelay();
    await rig.startConsumer({
      ...(way === 'tenantsOf' ? { tenantsOf: () => ['beta', 'alpha', 'beta'] } : {}),
      handle: async (tx) => {
        if (way === 'setTenants') await setTenants(tx, ['alpha', 'beta']);
        const [row] = await tx.query<{ tenants: string }>(`SELECT current_setting('app.tenant') AS tenants`);
        seen.push(row?.tenants ?? '');
      },
    });
    await rig.write(1);
    await rig.until('handled', () => seen.length > 0);
    expect(seen[0]).toBe('alpha,beta');
  });

  it('with a comma in their id are refused', async () => {
    await expect(setTenants({ call: async () => [] }, ['a,b'])).rejects.toThrow(/not allowed/);
    await expect(setTenants({ call: async () => [] }, [])).rejects.toThrow(/at least one/);
  });
});

describe('events of foreign producers', () => {
  it('are handed over without numbers, with their headers', async () => {
    const batches: Batch[] = [];
    await rig.startConsumer({ plain: true, handle: async (_tx, given) => void batches.push(...given) });
    const connection = await rig.connect();
    const encoded = headers();
    encoded.set('ce-id', '1');
    const subject = `${rig.stream.subjectPrefix}.plain.billing.invoice`;
    await jetstream(connection).publish(subject, '{"specversion":"1.0"}', { headers: encoded });
    await rig.until('handled', () => batches.length > 0);
    expect(batches).toEqual([
      {
        ...{ stream: rig.stream.name, partition: 'plain', producer: 'billing', epoch: null },
        messages: [{ number: null, subject, payload: '{"specversion":"1.0"}', headers: { 'ce-id': '1' } }],
      },
    ]);
  });

  it('cannot move the watermark of another producer', async () => {
    await rig.startRelay();
    await rig.startConsumer();
    const connection = await rig.connect();
    await jetstream(connection).publish(`${rig.stream.subjectPrefix}.0.stranger`, '"forged"', {
      headers: encodeNumber({ producer: rig.producer, epoch: 'e', number: 1 }),
    });
    await rig.untilEffects(1);
    expect((await rig.effects())[0]).toMatchObject({ producer: 'stranger', number: null });
    await rig.write(4);
    await rig.untilEffects(5);
    expect((await rig.effects()).filter((effect) => effect.number !== null)).toHaveLength(4);
  });
});
