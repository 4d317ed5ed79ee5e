import { MatchersV3 } from '@pact-foundation/pact';
import type { NatsConnection } from '@nats-io/transport-node';
import { connectNats } from '@sync/messaging';
import { type RunningNats, startNats } from '@sync/messaging/testing';
import { MessageContract } from '@sync/messaging/testing/pact';
import { subjects } from '@sync/protocol';
import { DeviceBindings } from './device-bindings.ts';

const BASE64 = '^[A-Za-z0-9+/]{43}=$';

/** Nothing is remembered here that it could be asked about. */
const database = { call: () => Promise.reject(new Error('not asked')) };

describe('the gateway expects of the identity service', () => {
  let server: RunningNats;
  let nats: NatsConnection;
  let contract: MessageContract;

  beforeAll(async () => {
    server = await startNats({ own: true });
    nats = await connectNats({ url: server.url, name: 'contract' });
    contract = new MessageContract('sync-gateway', 'identity');
  });
  afterAll(async () => {
    await nats.close();
    await server.stop();
  });

  it('that a device nobody bound is unbound, without a key', async () => {
    const device = { tenantId: 'pact', userId: 'pact-user', deviceId: 'pact-unknown-device' };
    const binding = await contract.reply(
      {
        nats,
        subject: subjects.deviceBindingVerify,
        what: 'a device nobody bound is unbound',
        request: device,
        reply: { status: 'unbound' },
      },
      () => new DeviceBindings({ nats, database, graceMs: 0 }).find(device),
    );
    expect(binding).toEqual({ status: 'unbound', requestKeys: [], tagKeys: [] });
  });

  it('that a bound device comes with its key of 32 bytes', async () => {
    const device = { tenantId: 'pact', userId: 'pact-user', deviceId: 'pact-device' };
    const hmacKey = MatchersV3.regex(BASE64, Buffer.alloc(32, 1).toString('base64'));
    const binding = await contract.reply(
      {
        nats,
        subject: subjects.deviceBindingVerify,
        what: 'a bound device comes with its key',
        given: 'the device pact-device is bound to pact-user',
        request: device,
        reply: { status: 'bound', hmacKey },
      },
      () => new DeviceBindings({ nats, database, graceMs: 0 }).find(device),
    );
    expect(binding.status).toBe('bound');
    expect(binding.requestKeys.map(({ key }) => key.symmetricKeySize)).toEqual([32]);
  });
});
