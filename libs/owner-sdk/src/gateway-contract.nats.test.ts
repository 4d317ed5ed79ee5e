import type { NatsConnection } from '@nats-io/transport-node';
import { connectNats } from '@sync/messaging';
import { type RunningNats, startNats } from '@sync/messaging/testing';
import { MessageContract } from '@sync/messaging/testing/pact';
import { subjects } from '@sync/protocol';
import { noOwnerMetrics } from './ports.ts';
import { ServiceRegistration } from './service-registration.ts';

const LOGGER = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

describe('an owning service expects of the gateway', () => {
  let server: RunningNats;
  let nats: NatsConnection;

  beforeAll(async () => {
    server = await startNats({ own: true });
    nats = await connectNats({ url: server.url, name: 'contract' });
  });
  afterAll(async () => {
    await nats.close();
    await server.stop();
  });

  it('that its registration is accepted, as often as it comes', async () => {
    const registration = {
      service: 'pact-library',
      entityTypes: [
        {
          entityType: 'pact-loan',
          schemaVersion: 1,
          policy: 'lww' as const,
          projection: {
            kind: 'declarative' as const,
            fields: '*' as const,
            scopes: ['user:{userId}'],
          },
        },
      ],
    };
    const accepted = await new MessageContract('owner-sdk', 'sync-gateway').reply(
      {
        nats,
        subject: subjects.registerAs(registration.service),
        what: 'a registration is accepted',
        request: registration,
        reply: { registered: ['pact-loan'] },
      },
      () =>
        new Promise<boolean>((resolve) => {
          const registering = new ServiceRegistration(nats, registration, LOGGER, {
            ...noOwnerMetrics,
            registered: (isRegistered) => {
              resolve(isRegistered);
              void registering.stop();
            },
          });
          registering.start();
        }),
    );
    expect(accepted).toBe(true);
  });
});
