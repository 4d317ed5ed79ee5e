import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { PullResponse } from '@sync/protocol';
import { GatewayRig } from '../testing/gateway-rig.ts';
import type { TestDevice } from '../testing/test-identity.ts';

const line = (name: string): string => `${name}:${randomBytes(32).toString('base64')}`;
const [K1, K2] = [line('k1'), line('k2')];

let rig: GatewayRig;
let device: TestDevice;
let cursor: string;

/** Its first gateway has no master keys. */
beforeAll(async () => {
  rig = await GatewayRig.start();
  device = await rig.device();
});
afterAll(() => rig.stop());

async function pull(url: string, from: string | null): Promise<PullResponse['scopes'][number] | undefined> {
  const asked = { scopes: [{ scope: `user:${device.userId}`, cursor: from }] };
  const { status, body } = await rig.call<PullResponse>(device, 'pull', asked, { url });
  expect(status).toBe(200);
  return body.scopes[0];
}
const stored = (): Promise<{ name: string; value: string }[]> =>
  rig.test.database.call('test_secret', 'SELECT name, value FROM gateway_secret', []);
const wrappings = (): Promise<{ master_key: string; wrapped: string }[]> =>
  rig.test.database.call('test_wrapped', 'SELECT master_key, wrapped FROM data_key ORDER BY added', []);

it('of an older release is sealed at a start, and cursors go on at new and old replicas', async () => {
  const [before] = await stored();
  const secret = before?.value ?? '';
  expect(secret).toHaveLength(64);
  cursor = (await pull(rig.url, null))?.cursor ?? '';
  const gateway = await rig.addGateway({ MASTER_KEYS: K1 });
  // By another name, so that a gateway that knows no seals does not take the text for the key.
  expect(await stored()).toEqual([{ name: 'cursor-sealed', value: expect.stringMatching(/^sealed:1:/) }]);
  const [after] = await stored();
  for (const encoding of ['base64', 'base64url', 'hex'] as const)
    expect(after?.value).not.toContain(Buffer.from(secret).toString(encoding).slice(0, 60));
  expect(after?.value).not.toContain(secret);
  for (const { url } of [gateway, rig.gateway]) {
    expect(await pull(url, cursor)).toMatchObject({ reset: false });
    expect(await pull(rig.url, (await pull(url, cursor))?.cursor ?? '')).toMatchObject({ reset: false });
  }
});

it('opens at replicas that start together, with the master keys of either round of a rotation', async () => {
  const lists = [`${K2}\n${K1}`, K1, `${K2}\n${K1}`];
  const gateways = await Promise.all(lists.map((keys) => rig.addGateway({ MASTER_KEYS: keys })));
  gateways.push(await rig.addGateway({ MASTER_KEYS: K2 }));
  for (const { url } of gateways) expect(await pull(url, cursor)).toMatchObject({ reset: false });
  expect((await wrappings()).map((row) => row.master_key)).toEqual(['k2']);
});

it.each([
  ['another master key', line('k2'), /k2 is not the key that wrapped data key 1/],
  ['the master key before', K1, /none of the keys that wrapped data key 1: k2/],
  ['none', '', /set MASTER_KEYS/],
  ['one that is no key', 'k2:c2hvcnQ=', /MASTER_KEYS: entry 1 is not name:key/],
])('refuses a start with %s, which changes nothing', async (_what, keys, message) => {
  const before = [await stored(), await wrappings()];
  await expect(rig.addGateway({ MASTER_KEYS: keys })).rejects.toThrow(message);
  expect([await stored(), await wrappings()]).toEqual(before);
});

it('that somebody put there in clear is refused where only sealed ones may be', async () => {
  await rig.test.tamper(`UPDATE gateway_secret SET name = 'cursor', value = repeat('x', 64)`);
  const start = rig.addGateway({ MASTER_KEYS: K2, KEY_SEALING: 'only' });
  const before = await stored();
  await expect(start).rejects.toThrow('The key of the cursor tokens does not open');
  expect(await stored()).toEqual(before);
});
