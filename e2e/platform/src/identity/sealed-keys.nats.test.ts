import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { request } from '@sync/messaging';
import type { Tx } from '@sync/postgres';
import { DeviceBindingReply, subjects, validator } from '@sync/protocol';
import { KeySeal, masterKeysOf, rotateDataKey, type RunningService, sealRows } from '@sync/service-kit';
import { pino } from 'pino';
import type { IdentityConfig } from './config.ts';
import { SEALED_TABLES } from './keys/sealed-tables.ts';
import { startServiceRig, type ServiceRig } from '../testing/platform-rig.ts';
import { startIdentity } from './start-identity.ts';

const line = (name: string): string => `${name}:${randomBytes(32).toString('base64')}`;
const [K1, K2] = [line('k1'), line('k2')];
const TENANTS = ['acme', 'other'];
const LOGGER = pino({ level: 'silent' });

let settings: Pick<IdentityConfig, 'masterKeys' | 'keySealing' | 'rotateDataKey'>;
let rig: ServiceRig;
const replicas: RunningService[] = [];

/** Begins as a release that sealed nothing. */
beforeAll(async () => {
  settings = { masterKeys: '', keySealing: 'on', rotateDataKey: false };
  rig = await startServiceRig('identity', (config) => startIdentity({ ...config, ...settings }));
});
afterEach(async () => {
  for (const replica of replicas.splice(0)) await replica.stop();
});
afterAll(() => rig.stop());

interface Device {
  readonly tenantId: string;
  readonly userId: string;
  readonly deviceId: string;
  /** Newest first, base64. */
  readonly keys: readonly string[];
}

const bind = async (tenantId: string, userId: string, url = rig.url()): Promise<Device> => {
  const answer = await fetch(`${url}/dev/tenants/${tenantId}/users/${userId}/devices`, { method: 'POST' });
  const { deviceId, hmacKey } = (await answer.json()) as { deviceId: string; hmacKey: string };
  return { tenantId, userId, deviceId, keys: [hmacKey] };
};
const rotate = async (device: Device): Promise<Device> => {
  const { body } = await rig.call('POST', `/dev/devices/${device.deviceId}/keys`);
  return { ...device, keys: [String(body['hmacKey']), ...device.keys] };
};
const verify = ({ tenantId, userId, deviceId }: Device): Promise<DeviceBindingReply> =>
  request(rig.nats, subjects.deviceBindingVerify, { tenantId, userId, deviceId }, { timeoutMs: 5_000 });
const expectKnown = async (device: Device): Promise<void> => {
  const { status, hmacKey, earlierKeys = [] } = await verify(device);
  expect({ status, keys: [hmacKey, ...earlierKeys] }).toEqual({ status: 'bound', keys: device.keys });
};
const asTenants = <T>(work: (tx: Tx) => Promise<T>): Promise<T> => rig.database.inTenant(TENANTS, work);
const restartWith = async (changed: Partial<typeof settings>): Promise<void> => {
  settings = { ...settings, ...changed };
  await rig.restart();
};
/** Another replica, whose settings are these. */
const addReplica = async (changed: Partial<typeof settings>): Promise<RunningService> => {
  const replica = await startIdentity({ ...rig.config, databaseOwnerUrl: '', ...settings, ...changed });
  replicas.push(replica);
  return replica;
};
/** Every row of every table, as text. */
const everything = (): Promise<string> =>
  asTenants(async (tx) => {
    const tables = await tx.query<{ name: string }>(
      `SELECT oid::regclass::text AS name FROM pg_class
       WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND has_table_privilege(oid, 'SELECT')`,
    );
    let text = '';
    for (const { name } of tables) {
      const rows = await tx.query<{ row: string }>(`SELECT t::text AS row FROM ${name} t`);
      text += `${name}: ${rows.map(({ row }) => row).join('\n')}\n`;
    }
    return text;
  });
const inClear = async (): Promise<number> => {
  const [row] = await asTenants((tx) =>
    tx.query<{ n: number }>(
      `SELECT count(*)::int4 AS n FROM (SELECT hmac_key AS v FROM device
         UNION ALL SELECT hmac_key FROM earlier_device_key
         UNION ALL SELECT private_jwk #>> '{}' FROM signing_key) AS all_keys
       WHERE NOT starts_with(v, 'sealed:')`,
    ),
  );
  return row?.n ?? NaN;
};
const untilSealed = async (): Promise<void> => {
  while ((await inClear()) > 0) await sleep(20);
};
const jwks = async (url = rig.url()): Promise<unknown> =>
  (await fetch(`${url}/.well-known/jwks.json`)).json();
/** The secret part of the signing key, as it lies in clear. */
const signingSecret = async (): Promise<string> => {
  const [row] = await rig.database.call<{ d: string }>(
    'test_signing_secret',
    `SELECT private_jwk ->> 'd' AS d FROM signing_key`,
    [],
  );
  return row?.d ?? '';
};

/** Each way in which bytes could stand in a row. */
function expectNowhere(text: string, secrets: readonly Buffer[]): void {
  for (const secret of secrets) {
    for (const encoding of ['base64', 'base64url', 'hex'] as const)
      expect(text).not.toContain(secret.toString(encoding).replace(/=+$/, ''));
    expect(text.toLowerCase()).not.toContain(secret.toString('hex'));
  }
}

// In this order: a database grows old as it would in production.
describe('keys at rest', () => {
  let known: Device[];
  let secrets: Buffer[];

  it('of an older release are sealed while two new replicas start, and everybody goes on', async () => {
    known = [await rotate(await rotate(await bind('acme', 'ada')))];
    known.push(await bind('other', 'bob'), await bind('acme', 'cem'));
    const secret = await signingSecret();
    secrets = [...known.flatMap(({ keys }) => keys.map((key) => Buffer.from(key, 'base64')))];
    secrets.push(Buffer.from(secret, 'base64url'));
    // What this test looks for can be found.
    const before = await everything();
    expect(before).toContain(known[0]?.keys[2]);
    expect(before).toContain(secret);
    const published = await jwks();
    await Promise.all([addReplica({ masterKeys: K1 }), restartWith({ masterKeys: K1 })]);
    await untilSealed();
    expectNowhere(await everything(), secrets);
    for (const device of known) await expectKnown(device);
    expect(await jwks()).toEqual(published);
    for (const replica of replicas) expect(await jwks(replica.url)).toEqual(published);
  });

  it('are sealed from the beginning for new devices and new keys', async () => {
    const device = await rotate(await bind('other', 'dora'));
    known.push(device);
    await expectKnown(device);
    expect(await inClear()).toBe(0);
    const keys = device.keys.map((key) => Buffer.from(key, 'base64'));
    expectNowhere(await everything(), keys);
  });

  it('do not open in the row of another device, user or tenant; others go on', async () => {
    const [victim, thief, foreign] = [
      await bind('acme', 'v'),
      await bind('acme', 't'),
      await bind('other', 'f'),
    ];
    await asTenants((tx) =>
      tx.query(
        `UPDATE device SET hmac_key = (SELECT hmac_key FROM device WHERE device_id = $1)
         WHERE device_id = ANY ($2)`,
        [thief.deviceId, [victim.deviceId, foreign.deviceId]],
      ),
    );
    expect(await verify(victim)).toEqual({ status: 'unbound' });
    expect(await verify(foreign)).toEqual({ status: 'unbound' });
    await expectKnown(thief);
    await asTenants((tx) =>
      tx.query(`UPDATE device SET user_id = 'v' WHERE device_id = $1`, [thief.deviceId]),
    );
    expect(await verify({ ...thief, userId: 'v' })).toEqual({ status: 'unbound' });
    // An earlier key of another device is no key of this one.
    const other = await bind('acme', 'o');
    await asTenants((tx) =>
      tx.query(
        `INSERT INTO earlier_device_key (tenant_id, device_id, hmac_key)
         SELECT tenant_id, $1, hmac_key FROM earlier_device_key WHERE tenant_id = 'acme' LIMIT 1`,
        [other.deviceId],
      ),
    );
    await expectKnown(other);
    const moved = [victim, thief, foreign, other].map(({ deviceId }) => deviceId);
    await asTenants((tx) => tx.query('DELETE FROM device WHERE device_id = ANY ($1)', [moved]));
    await asTenants((tx) => tx.query('DELETE FROM earlier_device_key WHERE device_id = ANY ($1)', [moved]));
  });

  it('stay as they are where a start has the wrong master key, or none', async () => {
    const before = await everything();
    for (const masterKeys of [K2, line('k1'), ''])
      await expect(addReplica({ masterKeys })).rejects.toThrow(/MASTER_KEYS/);
    expect(await everything()).toBe(before);
    for (const device of known) await expectKnown(device);
  });

  it('get another master key in two rounds of restarts, and no device is ever unknown', async () => {
    const wrappedBy = async (): Promise<unknown> =>
      rig.database.call('test_wrapped_by', 'SELECT master_key FROM data_key ORDER BY added', []);
    const replica = await addReplica({});
    await restartWith({ masterKeys: `${K2}\n${K1}` });
    for (const device of known) await expectKnown(device);
    // One that ends unasked may come back with the list before.
    await replica.stop();
    await (await addReplica({ masterKeys: K1 })).stop();
    replicas.length = 0;
    await restartWith({ masterKeys: K2 });
    expect(await wrappedBy()).toEqual([{ master_key: 'k2' }]);
    for (const device of known) await expectKnown(device);
    await expect(addReplica({ masterKeys: K1 })).rejects.toThrow('none of the keys that wrapped data key 1');
  });

  it('get another data key while a replica answers', async () => {
    const { database } = rig;
    const keys = await KeySeal.load({ database, masterKeys: masterKeysOf(K2), sealing: 'on' });
    const sealAll = async (): Promise<number> => {
      let left = 0;
      for (const rows of SEALED_TABLES) left += (await sealRows(database, keys, rows, LOGGER)).left;
      return left;
    };
    expect(await rotateDataKey(keys, sealAll, LOGGER)).toBe(true);
    const text = await everything();
    expect(text).not.toContain('sealed:1:');
    expect(text.match(/sealed:2:/g)).toHaveLength(1 + known.flatMap((device) => device.keys).length);
    for (const device of known) await expectKnown(device);
    const published = await jwks();
    await rig.restart();
    expect(await jwks()).toEqual(published);
  });

  it('in clear are refused once only sealed ones may be there', async () => {
    const device = await bind('acme', 'eve');
    await asTenants((tx) =>
      tx.query('UPDATE device SET hmac_key = $1 WHERE device_id = $2', [device.keys[0], device.deviceId]),
    );
    await expectKnown(device);
    await restartWith({ keySealing: 'only' });
    // Not by a start either: it would make what somebody put there look as if it had always been.
    expect(await verify(device)).toEqual({ status: 'unbound' });
    for (const one of known) await expectKnown(one);
  });
});

describe('a roll-out', () => {
  it('changes nothing that replicas without seals read, and in the end leaves nothing in clear', async () => {
    await rig.stop();
    settings = { masterKeys: '', keySealing: 'on', rotateDataKey: false };
    rig = await startServiceRig('identity', (config) => startIdentity({ ...config, ...settings }));
    const old = rig;
    const devices = [await bind('acme', 'ada')];
    /** Whichever replica answers. */
    const expectAllKnown = async (): Promise<void> => {
      for (let round = 0; round < 10; round += 1) for (const device of devices) await expectKnown(device);
    };
    const first = await addReplica({ masterKeys: K1, keySealing: 'later' });
    devices.push(await bind('acme', 'bob', first.url), await rotate(await bind('other', 'cem')));
    await expectAllKnown();
    expect(await inClear()).toBe(1 + 4);
    // The second round: replicas that seal beside those that do not yet.
    settings = { ...settings, masterKeys: K1, keySealing: 'later' };
    await old.restart();
    const second = await addReplica({ keySealing: 'on' });
    await untilSealed();
    devices.push(await bind('other', 'dora', first.url), await bind('other', 'eve', second.url));
    expect(await inClear()).toBe(1);
    await expectAllKnown();
    await first.stop();
    replicas.splice(replicas.indexOf(first), 1);
    await restartWith({ keySealing: 'on' });
    await untilSealed();
    await expectAllKnown();
  });

  it('without that order turns nobody away for good: what an old replica answers then is no answer', () => {
    const reply = { status: 'bound', hmacKey: 'sealed:1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8' };
    expect(validator(DeviceBindingReply)(reply).ok).toBe(false);
  });
});
