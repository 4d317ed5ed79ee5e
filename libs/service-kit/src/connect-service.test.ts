import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { NatsConnection } from '@nats-io/transport-node';
import { connectNats } from '@sync/messaging';
import { type RunningNats, startNats } from '@sync/messaging/testing';
import { connectService } from './connect-service.ts';
import { createLogger } from './logger.ts';

const logger = createLogger({ service: 'test', level: 'silent' });

describe('connectService', () => {
  let server: RunningNats;
  let nats: NatsConnection | undefined;

  beforeAll(async () => {
    server = await startNats({
      own: true,
      configuration: ['authorization { user: "gateway", password: "s3cret" }'],
    });
  });
  afterAll(async () => {
    await nats?.close();
    await server.stop();
  });

  it('logs in as the user that was set, at the server of the list that answers', async () => {
    const unnamed = connectNats({ url: server.url, name: 'nobody', waitOnFirstConnect: false });
    await expect(unnamed).rejects.toThrow('Authorization Violation');
    const natsUrl = `nats://127.0.0.1:1, ${server.url}`;
    const config = {
      host: '127.0.0.1',
      port: 0,
      opsPort: 0,
      natsUrl,
      natsUser: 'gateway',
      natsPassword: 's3cret',
      natsNkeySeed: '',
    };
    nats = await connectService(config, 'gateway', logger);
    await nats.flush();
    expect(nats.getServer()).toBe(server.url.replace('nats://', ''));
  });
});
