import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { GatewayRig } from '../testing/gateway-rig.ts';
import type { TestDevice } from '../testing/test-identity.ts';
import { until } from '../testing/until.ts';

let rig: GatewayRig;
beforeAll(async () => {
  rig = await GatewayRig.start();
});
afterEach(() => {
  rig.identity.answering = true;
});
afterAll(() => rig.stop());

/** Status and code of a pull. */
async function pull(device: TestDevice): Promise<[number, unknown]> {
  const { status, body } = await rig.call(device, 'pull', {});
  return [status, body['code']];
}

const GOOD = [200, undefined];
const REFUSED = [401, 'signature_invalid'];
const HOUR_MS = 3_600_000;

describe('a device that changes its key', () => {
  it('signs with the new one at once, on a replica that remembers the one before', async () => {
    const before = await rig.device();
    expect(await pull(before)).toEqual(GOOD);
    const asked = rig.identity.asked;
    const now = rig.identity.rotate(before, HOUR_MS);
    expect(await pull(now)).toEqual(GOOD);
    expect(await pull(now)).toEqual(GOOD);
    expect(rig.identity.asked).toBe(asked + 1);
  });

  it('may sign with either of two, for requests that are under way', async () => {
    const before = await rig.device();
    const now = rig.identity.rotate(before, HOUR_MS);
    expect([await pull(before), await pull(now), await pull(before)]).toEqual([GOOD, GOOD, GOOD]);
  });

  it('has no use of the one before when its time is over, nor of one before that', async () => {
    const first = await rig.device();
    const second = rig.identity.rotate(first, HOUR_MS);
    const third = rig.identity.rotate(second, 3_000);
    expect([await pull(first), await pull(third), await pull(second)]).toEqual([REFUSED, GOOD, GOOD]);
    await until(async () => ((await pull(second))[0] === REFUSED[0] ? true : null));
    expect([await pull(second), await pull(third)]).toEqual([REFUSED, GOOD]);
  });

  it('is told to come back where nobody can be asked for its new key', async () => {
    const before = await rig.device();
    expect(await pull(before)).toEqual(GOOD);
    const now = rig.identity.rotate(before, HOUR_MS);
    rig.identity.answering = false;
    expect(await pull(now)).toEqual([503, 'unavailable']);
    expect(await pull(before)).toEqual(GOOD);
  });

  it('is revoked with both', async () => {
    const before = await rig.device();
    const now = rig.identity.rotate(before, HOUR_MS);
    expect([await pull(before), await pull(now)]).toEqual([GOOD, GOOD]);
    await rig.identity.revoke(now);
    const REVOKED = [403, 'device_revoked'];
    expect([await pull(before), await pull(now)]).toEqual([REVOKED, REVOKED]);
  });
});

it('asks once more for each request that no key has signed, and refuses it', async () => {
  const device = await rig.device();
  expect(await pull(device)).toEqual(GOOD);
  const asked = rig.identity.asked;
  expect(await pull({ ...device, hmacKey: randomBytes(32).toString('base64') })).toEqual(REFUSED);
  expect(rig.identity.asked).toBe(asked + 1);
});
