import { request } from '@sync/messaging';
import { DeviceBindingReply, DeviceRevokedNotice, subjects, validator } from '@sync/protocol';
import { TokenVerifier } from '@sync/service-kit';
import { type ServiceRig, startServiceRig } from '../testing/platform-rig.ts';
import { startIdentity } from './start-identity.ts';

let rig: ServiceRig;
beforeAll(async () => {
  rig = await startServiceRig('identity', (config) =>
    startIdentity({ ...config, masterKeys: '', keySealing: 'on', rotateDataKey: false }),
  );
});
afterAll(() => rig.stop());

const verifierOf = (): TokenVerifier =>
  new TokenVerifier({
    jwksUrl: `${rig.url()}/.well-known/jwks.json`,
    issuer: 'https://identity.sync.local',
    audience: 'sync-service',
  });
const verifyDevice = (tenantId: string, userId: string, deviceId: unknown): Promise<DeviceBindingReply> =>
  request(rig.nats, subjects.deviceBindingVerify, { tenantId, userId, deviceId }, { timeoutMs: 5_000 });

describe('tokens', () => {
  it('name tenant, user and roles, and verify against the published keys', async () => {
    const { status, body } = await rig.call('POST', '/dev/tenants/acme/users/ada/tokens', {
      roles: ['sync-admin'],
      expiresInSeconds: 60,
    });
    expect(status).toBe(200);
    const claims = await verifierOf().verify(`Bearer ${String(body['accessToken'])}`);
    expect(claims).toMatchObject({ tenantId: 'acme', userId: 'ada', roles: ['sync-admin'] });
    expect(new Date(claims.expiresAtMs).toISOString()).toBe(body['expiresAt']);
  });

  it('last an hour when nothing is said, and can be expired', async () => {
    const plain = await rig.call('POST', '/dev/tenants/acme/users/ada/tokens');
    const lifetimeMs = Date.parse(String(plain.body['expiresAt'])) - Date.now();
    expect(lifetimeMs).toBeGreaterThan(3_590_000);
    const expired = await rig.call('POST', '/dev/tenants/acme/users/ada/tokens', { expiresInSeconds: -60 });
    await expect(verifierOf().verify(`Bearer ${String(expired.body['accessToken'])}`)).rejects.toMatchObject({
      code: 'unauthenticated',
    });
  });

  it('stay valid over a restart, because the key is kept', async () => {
    const { body } = await rig.call('POST', '/dev/tenants/acme/users/ada/tokens');
    const before = await rig.call('GET', '/.well-known/jwks.json');
    await rig.restart();
    expect(await rig.call('GET', '/.well-known/jwks.json')).toEqual(before);
    await expect(verifierOf().verify(`Bearer ${String(body['accessToken'])}`)).resolves.toBeDefined();
  });

  it('show no private part of the key', async () => {
    const { body } = await rig.call('GET', '/.well-known/jwks.json');
    expect(body['keys']).toEqual([
      expect.objectContaining({ kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig' }),
    ]);
    expect(JSON.stringify(body)).not.toContain('"d"');
  });

  it.each([
    ['a tenant with a comma', '/dev/tenants/a,b/users/ada/tokens', {}],
    ['a user with a colon', '/dev/tenants/acme/users/a:b/devices', undefined],
    ['roles that are no list', '/dev/tenants/acme/users/ada/tokens', { roles: 'sync-admin' }],
  ])('are refused for %s', async (_what, path, body) => {
    const answer = await rig.call('POST', path, body);
    expect([answer.status, answer.body['code']]).toEqual([400, 'schema_invalid']);
  });
});

describe('device bindings', () => {
  it('are verified with their key, for their own user and tenant only', async () => {
    const { status, body } = await rig.call('POST', '/dev/tenants/acme/users/ada/devices');
    expect(status).toBe(200);
    expect(Buffer.from(String(body['hmacKey']), 'base64')).toHaveLength(32);
    await expect(verifierOf().verify(`Bearer ${String(body['accessToken'])}`)).resolves.toMatchObject({
      userId: 'ada',
    });
    const bound = await verifyDevice('acme', 'ada', body['deviceId']);
    expect(validator(DeviceBindingReply)(bound).ok).toBe(true);
    expect(bound).toEqual({ status: 'bound', hmacKey: body['hmacKey'] });
    expect(await verifyDevice('acme', 'bob', body['deviceId'])).toEqual({ status: 'unbound' });
    expect(await verifyDevice('other', 'ada', body['deviceId'])).toEqual({ status: 'unbound' });
  });

  it('get a new key, and name those before: one for requests, all for tags', async () => {
    const { body } = await rig.call('POST', '/dev/tenants/acme/users/ada/devices');
    const [deviceId, first] = [String(body['deviceId']), body['hmacKey']];
    const rotate = async (hours?: number): Promise<Record<string, unknown>> => {
      const asked = hours === undefined ? undefined : { previousGoodForHours: hours };
      return (await rig.call('POST', `/dev/devices/${deviceId}/keys`, asked)).body;
    };
    const { hmacKey: second, previousKeyUntil } = await rotate();
    expect(Date.parse(String(previousKeyUntil)) - Date.now()).toBeGreaterThan(23 * 3_600_000);
    const bound = await verifyDevice('acme', 'ada', deviceId);
    expect(validator(DeviceBindingReply)(bound).ok).toBe(true);
    expect(bound).toEqual({ status: 'bound', hmacKey: second, earlierKeys: [first], previousKeyUntil });
    const { hmacKey: third } = await rotate(0);
    const again = await verifyDevice('acme', 'ada', deviceId);
    expect(again).toMatchObject({ hmacKey: third, earlierKeys: [second, first] });
    expect(Date.parse(String(again.previousKeyUntil))).toBeLessThanOrEqual(Date.now() + 1_000);
    expect(await rotate(169)).toMatchObject({ code: 'schema_invalid' });
    await rig.call('DELETE', `/dev/devices/${deviceId}`);
    expect((await rig.call('POST', `/dev/devices/${deviceId}/keys`)).status).toBe(404);
  });

  it('are revoked for good, with a notice each time', async () => {
    const { body } = await rig.call('POST', '/dev/tenants/acme/users/ada/devices');
    const deviceId = String(body['deviceId']);
    const notices: unknown[] = [];
    const subscription = rig.nats.subscribe(subjects.deviceBindingRevoked, {
      callback: (_error, message) => void notices.push(message.json()),
    });
    await rig.nats.flush();
    expect((await rig.call('DELETE', `/dev/devices/${deviceId}`)).status).toBe(204);
    expect((await rig.call('DELETE', `/dev/devices/${deviceId}`)).status).toBe(204);
    await rig.nats.flush();
    subscription.unsubscribe();
    expect(notices).toHaveLength(2);
    expect(notices[0]).toEqual(notices[1]);
    expect(validator(DeviceRevokedNotice)(notices[0])).toMatchObject({
      ok: true,
      value: { tenantId: 'acme', userId: 'ada', deviceId },
    });
    // With its key, by which nothing but tags made before is verified.
    const { hmacKey } = body;
    expect(await verifyDevice('acme', 'ada', deviceId)).toEqual({ status: 'revoked', hmacKey });
    expect((await rig.call('DELETE', '/dev/devices/never-was')).status).toBe(404);
  });
});
