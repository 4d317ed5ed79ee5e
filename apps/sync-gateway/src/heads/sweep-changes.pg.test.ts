import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '@sync/postgres';
import type { TestDatabase } from '@sync/postgres/testing';
import { createLogger } from '@sync/service-kit';
import type { DeviceKey } from '../access/device-bindings.ts';
import { readPull } from '../pull/pull-store.ts';
import { gatewayDatabase } from '../testing/gateway-rig.ts';
import { TestProjector } from '../testing/test-projector.ts';
import { GatewayMemory } from './gateway-memory.ts';
import type { News } from './gateway-news.ts';
import { SweepChanges } from './sweep-changes.ts';

const logger = createLogger({ service: 'test', level: 'silent' });
const head = { origin: 'main', epoch: 'e1', sequence: '1', count: '1', hash: 'f'.repeat(64) };
let test: TestDatabase;
const projector = new TestProjector();

beforeAll(async () => {
  test = await gatewayDatabase();
});
afterAll(() => test.drop());

interface Swept {
  readonly memory: GatewayMemory;
  readonly sweep: SweepChanges;
  readonly told: News[];
  /** What its first look told. */
  readonly first: News[];
  /** The tenants of each look. */
  readonly looked: ReadonlySet<string>[];
  looks: number;
  listening: boolean;
}

/** A memory whose sweep has looked once. */
async function swept(database: Pick<Database, 'call'> = test.database): Promise<Swept> {
  const memory = new GatewayMemory();
  const told: News[] = [];
  const tellHere = (news: News): void => {
    told.push(news);
    memory.forget(news, performance.now());
  };
  const sweep = new SweepChanges({
    ...{ database, memory, logger, hints: { tellHere } },
    listeners: { tenants: () => ['t-listened'], any: () => result.listening },
    afterSweep: (tenants) => {
      result.looks += 1;
      result.looked.push(tenants);
    },
  });
  const result: Swept = { memory, sweep, told, first: [], looked: [], looks: 0, listening: false };
  await sweep.sweep();
  result.first.push(...told.splice(0));
  return result;
}

/** Remembers a device as a pull does, with the fingerprint that the database gives. */
async function known(memory: GatewayMemory, tenantId = 't1'): Promise<DeviceKey> {
  const device = { tenantId, userId: `u-${randomUUID()}`, deviceId: `d-${randomUUID()}` };
  const rows = await readPull(test.database, device, [], 500, 0);
  const fingerprint = rows.find(({ kind }) => kind === 'device')?.reason ?? '';
  const facts = { device, fingerprint, generations: new Map(), granted: [], checkedAtMs: performance.now() };
  memory.rememberDevice(facts, memory.turn, performance.now());
  return device;
}

describe('a sweep', () => {
  it('confirms what has not changed', async () => {
    const { memory, sweep, told } = await swept();
    const scope = { tenantId: 't1', scope: `course:${randomUUID()}` };
    memory.rememberHead(scope, head, memory.turn, performance.now());
    const device = await known(memory);
    const second = await known(memory, 't2');
    await sweep.sweep();
    expect(told).toEqual([{ scopes: [], users: [], devices: [] }]);
    expect(memory.findHead(scope, performance.now())).toEqual(head);
    expect(memory.findDevice(device, performance.now())?.device).toEqual(device);
    expect(memory.findDevice(second, performance.now())?.device).toEqual(second);
  });

  it('finds heads and grants that moved, of tenants that are known or listened for', async () => {
    const { memory, sweep, told } = await swept();
    const scope = `course:${randomUUID()}`;
    memory.rememberHead({ tenantId: 't1', scope }, head, memory.turn, performance.now());
    for (const tenant of ['t1', 't-listened', 't-unknown']) {
      projector.put(tenant, scope, 'n1').grant(tenant, 'u1', scope);
    }
    await projector.ingest(test.database, undefined, 3);
    await sweep.sweep();
    const byTenant = (left: { tenantId: string }, right: { tenantId: string }): number =>
      left.tenantId < right.tenantId ? -1 : 1;
    expect([...(told[0]?.scopes ?? [])].sort(byTenant)).toEqual([
      { tenantId: 't-listened', scope },
      { tenantId: 't1', scope },
    ]);
    expect([...(told[0]?.users ?? [])].sort(byTenant)).toEqual([
      { tenantId: 't-listened', userId: 'u1' },
      { tenantId: 't1', userId: 'u1' },
    ]);
    expect(memory.findHead({ tenantId: 't1', scope }, performance.now())).toBeNull();
    told.length = 0;
    await sweep.sweep();
    expect(told[0]?.scopes).toEqual([]);
  });

  it('finds a first ingest into a partition that had none', async () => {
    const { memory, sweep, told } = await swept();
    const scope = { tenantId: 't1', scope: `course:${randomUUID()}` };
    memory.rememberHead(scope, head, memory.turn, performance.now());
    await projector.put('t1', scope.scope, 'n1').ingest(test.database, undefined, 11);
    await sweep.sweep();
    expect(told[0]?.scopes).toEqual([scope]);
  });

  it('does not look for what a hint has told completely, and does when one is missing', async () => {
    const { memory, sweep, told } = await swept();
    const scope = { tenantId: 't1', scope: `course:${randomUUID()}` };
    const ingest = async (): Promise<{ partition: number; number: string }> => {
      const changes = await projector.put('t1', scope.scope, 'n1').ingest(test.database, undefined, 12);
      memory.rememberHead(scope, head, memory.turn, performance.now());
      return { partition: 12, number: changes.find(({ kind }) => kind === 'number')?.name ?? '' };
    };
    sweep.noteIngest(await ingest());
    await sweep.sweep();
    expect(told[0]?.scopes).toEqual([]);
    await ingest();
    sweep.noteIngest(await ingest());
    await sweep.sweep();
    expect(told[1]?.scopes).toEqual([scope]);
  });

  it('finds devices with another copy, or with outcomes', async () => {
    const { memory, sweep, told } = await swept();
    const [copied, answered, same] = [await known(memory), await known(memory), await known(memory)];
    await readPull(
      test.database,
      copied,
      [{ scope: `user:${copied.userId}`, token: null, position: null }],
      1,
      0,
    );
    await test.database.inTenant('t1', (tx) =>
      tx.query(
        `INSERT INTO mutation (tenant_id, mutation_id, user_id, device_id, payload_hash, status, outcome, terminal_at)
         VALUES ('t1', $1, $2, $3, '', 'applied', '{}', now())`,
        [randomUUID(), answered.userId, answered.deviceId],
      ),
    );
    await sweep.sweep();
    expect(new Set(told[0]?.devices)).toEqual(new Set([copied, answered]));
    expect(memory.findDevice(same, performance.now())).not.toBeNull();
    expect(memory.findDevice(copied, performance.now())).toBeNull();
  });

  it('forgets everything when a counter fell, as after restoring a backup', async () => {
    const { memory, sweep } = await swept();
    await projector.put('t1', 'course:x', 'n1').ingest(test.database, undefined, 13);
    await sweep.sweep();
    const device = await known(memory);
    await test.database.call('restore', 'UPDATE ingest_head SET number = 0 WHERE partition = 13', []);
    await sweep.sweep();
    expect(memory.findDevice(device, performance.now())).toBeNull();
  });

  it('tells everybody at first, for what changed before it knew the counters', async () => {
    const { first } = await swept();
    expect(first).toEqual([{ everything: true }]);
  });

  it('leaves nothing in memory of a tenant whose changes it passed over', async () => {
    const { memory, sweep } = await swept();
    const scope = { tenantId: 't-new', scope: `course:${randomUUID()}` };
    const { turn } = memory;
    await projector.put('t-new', scope.scope, 'n1').ingest(test.database, undefined, 15);
    await sweep.sweep();
    memory.rememberHead(scope, head, turn, performance.now());
    expect(memory.findHead(scope, performance.now())).toBeNull();
    memory.rememberHead(scope, head, memory.turn, performance.now());
    await sweep.sweep();
    expect(memory.findHead(scope, performance.now())).toEqual(head);
  });

  it('leaves nothing in memory that was read of a tenant while it passed it over', async () => {
    const scope = { tenantId: 't-late', scope: `course:${randomUUID()}` };
    let meanwhile = (): void => undefined;
    const { memory, sweep, looked } = await swept({
      call: async (name, text, values) => {
        const rows = await test.database.call<never>(name, text, values);
        meanwhile();
        return rows;
      },
    });
    const { turn } = memory;
    meanwhile = (): void => memory.rememberHead(scope, head, turn, performance.now());
    await projector.put('t-late', scope.scope, 'n1').ingest(test.database, undefined, 16);
    await sweep.sweep();
    expect(looked.at(-1)?.has('t-late')).toBe(false);
    expect(memory.findHead(scope, performance.now())).toBeNull();
  });

  it('that fails confirms nothing and wakes nobody', async () => {
    let away = false;
    const result = await swept({
      call: (name, text, values) => {
        if (away) throw new Error('away');
        return test.database.call(name, text, values);
      },
    });
    const device = await known(result.memory);
    const before = result.looks;
    away = true;
    await expect(result.sweep.sweep()).rejects.toThrow('away');
    expect(result.looks).toBe(before);
    expect(result.memory.findDevice(device, performance.now() + 1_600)).toBeNull();
  });
});

describe('sweeping', () => {
  it('rests while nothing is in memory and nobody listens, and goes on as soon as that changes', async () => {
    const result = await swept();
    const { memory, sweep } = result;
    const began = async (): Promise<void> => {
      const before = result.looks;
      while (result.looks === before) await sleep(20);
    };
    await sweep.start();
    const rested = result.looks;
    await sleep(2_500);
    expect(result.looks).toBe(rested);
    result.listening = true;
    await began();
    result.listening = false;
    const scope = { tenantId: 't1', scope: `course:${randomUUID()}` };
    await projector.put('t1', scope.scope, 'n1').ingest(test.database, undefined, 14);
    memory.rememberHead(scope, head, memory.turn, performance.now());
    await began();
    expect(result.told.flatMap(({ scopes = [] }) => scopes)).toEqual([scope]);
    await sweep.stop();
  });
});
