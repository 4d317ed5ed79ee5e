import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { PullResponse } from '@sync/protocol';
import { GatewayRig } from '../testing/gateway-rig.ts';
import type { Answer } from '../testing/signed-call.ts';
import type { TestDevice } from '../testing/test-identity.ts';
import { until } from '../testing/until.ts';
import { pullsWait } from '../testing/waiting-pulls.ts';

let rig: GatewayRig;
beforeAll(async () => {
  rig = await GatewayRig.start();
});
afterAll(() => rig.stop());

function refusal({ status, body }: Answer): [number, unknown] {
  return [status, body['code']];
}

/**
 * A gateway that has met silence asks identity only now and then: what it does not know is refused until
 * then.
 */
async function untilVerified(device: TestDevice): Promise<void> {
  await until(async () => ((await rig.call(device, 'pull', {})).status === 200 ? true : null));
}

async function verifiedDevice(): Promise<TestDevice> {
  const device = await rig.device();
  await untilVerified(device);
  return device;
}

describe('a device', () => {
  it('cannot be verified: those remembered go on, others are told to come back', async () => {
    const known = await verifiedDevice();
    const unknown = await rig.device();
    rig.identity.answering = false;
    try {
      expect((await rig.call(known, 'pull', {})).status).toBe(200);
      const answer = await rig.call(unknown, 'pull', {});
      expect(refusal(answer)).toEqual([503, 'unavailable']);
      expect(answer.headers.get('retry-after')).toBe('1');
    } finally {
      rig.identity.answering = true;
    }
    await untilVerified(unknown);
  });

  it('goes on while identity does not answer, however long ago it was verified, and is asked about as soon as it does', async () => {
    const one = await verifiedDevice();
    rig.identity.answering = false;
    try {
      // After a lost connection nothing that was verified before counts as fresh.
      await rig.server.restart();
      await until(async () => {
        expect((await rig.call(one, 'pull', {})).status).toBe(200);
        const metrics = await (await fetch(`${rig.gateway.opsUrl}/metrics`)).text();
        return /^sync_unverified_requests_total\{[^}]*\} [1-9]/m.test(metrics) ? true : null;
      });
      await rig.identity.revoke(one, true);
      expect((await rig.call(one, 'pull', {})).status).toBe(200);
    } finally {
      rig.identity.answering = true;
    }
    const code = await until(async () => {
      const answer = await rig.call(one, 'pull', {});
      return answer.status === 403 ? answer.body['code'] : null;
    });
    expect(code).toBe('device_revoked');
  });

  it('does not go on when another replica has heard of its revocation', async () => {
    const [one, again] = [await rig.device(), await rig.device()];
    const note = async ({ tenantId, userId, deviceId }: TestDevice, ageMs: number): Promise<void> => {
      const revokedAt = new Date(Date.now() - ageMs).toISOString();
      const values = [tenantId, userId, deviceId, revokedAt, randomUUID(), 0];
      await rig.test.database.call('note', 'SELECT note_revocation($1, $2, $3, $4, $5, $6)', values);
    };
    // One was revoked, and bound again, long before.
    await note(again, 3_600_000);
    for (const device of [one, again]) await untilVerified(device);
    rig.identity.answering = false;
    try {
      await rig.server.restart();
      await note(one, 0);
      const answer = await until(async () => {
        const next = await rig.call(one, 'pull', {});
        return next.status === 200 ? null : next;
      });
      expect(refusal(answer)).toEqual([503, 'unavailable']);
      expect((await rig.call(again, 'pull', {})).status).toBe(200);
    } finally {
      rig.identity.answering = true;
    }
  });

  it('is not let wait on when its revocation was missed in a lost connection', async () => {
    const one = await verifiedDevice();
    const scopes = [{ scope: `user:${one.userId}`, cursor: null }];
    const first = await rig.call<PullResponse>(one, 'pull', { scopes });
    const asked = first.body.scopes.map(({ scope, cursor }) => ({ scope, cursor }));
    const waiting = rig.call(one, 'pull', { scopes: asked, waitMs: 30_000 });
    await pullsWait(rig.gateway.opsUrl, 1);
    await rig.identity.revoke(one, true);
    await rig.server.restart();
    expect(refusal(await waiting)).toEqual([403, 'device_revoked']);
  });

  it('is asked about again after the connection to NATS was lost', async () => {
    const one = await verifiedDevice();
    await rig.identity.revoke(one, true);
    await rig.server.restart();
    const code = await until(async () => {
      const answer = await rig.call(one, 'pull', {});
      return answer.status === 403 ? answer.body['code'] : null;
    });
    expect(code).toBe('device_revoked');
  });
});
