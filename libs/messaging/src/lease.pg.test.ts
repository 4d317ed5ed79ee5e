import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '@sync/postgres';
import { createTestDatabase, startPostgres, type TestDatabase } from '@sync/postgres/testing';
import { assertLease, LeaseKeeper, LeaseLostError, type Lease } from './lease.ts';
import { messagingMigrations } from './migration.ts';
import type { MessagingLogger } from './ports.ts';

const QUIET: MessagingLogger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
const NAMES = ['p0', 'p1', 'p2', 'p3', 'p4'];

let test: TestDatabase;
let database: Database;
const keepers: LeaseKeeper[] = [];
beforeAll(async () => {
  const migrations = messagingMigrations;
  test = await createTestDatabase({ postgres: await startPostgres(), name: 'lease', migrations });
  ({ database } = test);
});
afterAll(() => test.drop());
afterEach(async () => {
  for (const keeper of keepers.splice(0)) await keeper.stop();
  await database.transaction((tx) => tx.query('DELETE FROM sync_lease'));
});

interface Worker {
  readonly keeper: LeaseKeeper;
  readonly events: string[];
}

/** The database as another process has it: keepers that share one are ticked together. */
function ofAnotherProcess(): Pick<Database, 'call'> {
  return { call: (name, text, values) => database.call(name, text, values) };
}

function start(holder: string, calls: Pick<Database, 'call'> = ofAnotherProcess(), ttlMs = 1_000): Worker {
  const events: string[] = [];
  const keeper = new LeaseKeeper({
    database: calls,
    group: 'g',
    names: NAMES,
    logger: QUIET,
    holder,
    ttlMs,
    renewMs: 200,
    onAcquired: (lease) => void events.push(`+${lease.name}`),
    onReleased: (lease, why) => void events.push(`${why} ${lease.name}`),
  });
  keepers.push(keeper);
  keeper.start();
  return { keeper, events };
}

async function until(holds: () => boolean): Promise<void> {
  for (let waited = 0; !holds(); waited += 20) {
    if (waited > 60_000) throw new Error('Never came true');
    await sleep(20);
  }
}

function shares(workers: readonly Worker[]): number[] {
  return workers.map(({ keeper }) => keeper.held().length).sort();
}

function allNames(workers: readonly Worker[]): string[] {
  return workers.flatMap(({ keeper }) => keeper.held().map((lease) => lease.name)).sort();
}

describe('sharing out', () => {
  it('gives one worker everything and spreads it evenly as others come and go', async () => {
    const first = start('a');
    await until(() => first.keeper.held().length === 5);
    const second = start('b');
    await until(() => shares([first, second]).join() === '2,3');
    const third = start('c');
    await until(() => shares([first, second, third]).join() === '1,2,2');
    expect(allNames([first, second, third])).toEqual(NAMES);
    await second.keeper.stop();
    await until(() => shares([first, third]).join() === '2,3');
    expect(allNames([first, third])).toEqual(NAMES);
    expect(first.events.filter((event) => event.startsWith('lost'))).toEqual([]);
  });

  it('leaves workers beyond the number of names idle', async () => {
    const workers = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((holder) => start(holder));
    await until(() => shares(workers).join() === '0,0,1,1,1,1,1');
    expect(allNames(workers)).toEqual(NAMES);
  });

  it('takes over from a worker that stopped renewing, with a higher token', async () => {
    let frozen = false;
    const stalled: Pick<Database, 'call'> = {
      call: (name, text, values) =>
        frozen ? new Promise(() => undefined) : database.call(name, text, values),
    };
    const first = start('a', stalled);
    await until(() => first.keeper.held().length === 5);
    const before = new Map(first.keeper.held().map((lease) => [lease.name, lease]));
    frozen = true;
    keepers.splice(0); // its stop would wait for the frozen call
    const second = start('b');
    await until(() => second.keeper.held().length === 5);
    for (const lease of second.keeper.held()) {
      expect(BigInt(lease.token)).toBe(BigInt(before.get(lease.name)?.token ?? 0) + 1n);
    }
    await expect(database.transaction((tx) => assertLease(tx, leaseOf(before, 'p0')))).rejects.toThrow(
      LeaseLostError,
    );
  });

  it('waits with giving back until the work under the lease has ended', async () => {
    let finish = (): void => undefined;
    const work = new Promise<void>((resolve) => (finish = resolve));
    const slow = new LeaseKeeper({
      ...{ database, group: 'g', names: ['p0'], logger: QUIET, holder: 'slow', ttlMs: 1_000, renewMs: 200 },
      onAcquired: () => undefined,
      onReleased: () => work,
    });
    slow.start();
    await until(() => slow.held().length === 1);
    const stopped = slow.stop();
    const [row] = await database.call<{ holder: string }>(
      'held',
      `SELECT holder FROM sync_lease WHERE name = 'p0'`,
      [],
    );
    expect(row?.holder).toBe('slow');
    finish();
    await stopped;
    const [after] = await database.call<{ holder: string }>(
      'held',
      `SELECT holder FROM sync_lease WHERE name = 'p0'`,
      [],
    );
    expect(after?.holder).toBe('');
  });

  it('gives a lease back when its work cannot start', async () => {
    let attempts = 0;
    const keeper = new LeaseKeeper({
      ...{ database, group: 'g', names: ['p0'], logger: QUIET, renewMs: 100 },
      onAcquired: () => {
        attempts += 1;
        if (attempts === 1) throw new Error('not yet');
      },
      onReleased: () => undefined,
    });
    keepers.push(keeper);
    keeper.start();
    await until(() => attempts === 2);
    expect(keeper.held()).toHaveLength(1);
  });
});

describe('several keepers of one process', () => {
  it('are ticked by one statement, each for the leases of its own group', async () => {
    let ticks = 0;
    const calls: Pick<Database, 'call'> = {
      call: (name, text, values) => {
        if (name === 'sync_lease_ticks') ticks += 1;
        return database.call(name, text, values);
      },
    };
    const groups = ['relay', 'consume', 'assessment'];
    const own = groups.map((group) => {
      const names = [`${group}:0`, `${group}:1`];
      const nothing = { onAcquired: () => undefined, onReleased: () => undefined };
      const options = { database: calls, group, names, logger: QUIET, ttlMs: 2_000, renewMs: 200 };
      const keeper = new LeaseKeeper({ ...options, ...nothing });
      keepers.push(keeper);
      keeper.start();
      return keeper;
    });
    await until(() => own.every((keeper) => keeper.held().length === 2));
    const namesOf = (keeper: LeaseKeeper): string[] => keeper.held().map(({ name }) => name);
    expect(own.map((keeper) => namesOf(keeper).sort())).toEqual(
      groups.map((group) => [`${group}:0`, `${group}:1`]),
    );
    ticks = 0;
    await sleep(2_100);
    expect(ticks).toBeLessThanOrEqual(11);
    await keepers.splice(0, 1)[0]?.stop();
    await sleep(2_100);
    expect(own.map((keeper) => keeper.held().length)).toEqual([0, 2, 2]);
  });
});

describe('assertLease', () => {
  async function lease(): Promise<Lease> {
    const { keeper } = start('a');
    await until(() => keeper.held().length === 5);
    return leaseOf(new Map(keeper.held().map((held) => [held.name, held])), 'p0');
  }

  it('lets the holder write and nobody else', async () => {
    const held = await lease();
    await database.transaction((tx) => assertLease(tx, held));
    for (const stale of [
      { ...held, token: '99' },
      { ...held, holder: 'b' },
      { ...held, name: 'p9' },
    ]) {
      await expect(database.transaction((tx) => assertLease(tx, stale))).rejects.toThrow(LeaseLostError);
    }
  });

  it('holds off a takeover until its transaction ends, even past the lease', async () => {
    const held = await lease();
    await database.transaction(async (tx) => {
      await assertLease(tx, held);
      // Expired in the middle of the transaction: the row is still locked, so the other worker gets the other
      // four.
      await keepers.splice(0)[0]?.stop();
      await database.call(
        'expire',
        `UPDATE sync_lease SET expires_at = '-infinity', holder = 'a' WHERE name = 'p0'`,
        [],
      );
      const other = start('b');
      await until(() => other.keeper.held().length === 4);
      expect(allNames([other])).toEqual(['p1', 'p2', 'p3', 'p4']);
    });
    await until(() => (keepers[0]?.held().length ?? 0) === 5);
  });

  it('does not hold up renewals', async () => {
    const held = await lease();
    await database.transaction(async (tx) => {
      await assertLease(tx, held);
      await sleep(1_500); // longer than the time to live: only renewing keeps it
    });
    await database.transaction((tx) => assertLease(tx, held));
    expect(keepers[0]?.held()).toHaveLength(5);
  });
});

function leaseOf(leases: ReadonlyMap<string, Lease>, name: string): Lease {
  const lease = leases.get(name);
  if (lease === undefined) throw new Error(`${name} is not held`);
  return lease;
}
