import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { NatsConnection } from '@nats-io/transport-node';
import { createTestDatabase, startPostgres, type TestDatabase } from '@sync/postgres/testing';
import { subjects } from '@sync/protocol';
import { connectNats } from './connect-nats.ts';
import { messagingMigrations } from './migration.ts';
import { requestReplay } from './replay-client.ts';
import { ReplayResponder } from './replay-responder.ts';
import { startNats, type RunningNats } from './testing/nats-server.ts';

let test: TestDatabase;
let server: RunningNats;
let nats: NatsConnection;
let responder: ReplayResponder;
const logged: string[] = [];
const log = (_fields: object, message: string): void => void logged.push(message);
const logger = { debug: log, info: log, warn: log, error: log };
const producer = `producer-${randomUUID().slice(0, 8)}`;
const asked = { stream: 'DELTAS', partition: 0, epoch: 'e1', after: 0 };

beforeAll(async () => {
  const small = { own: true, configuration: ['max_payload: 65536'] };
  const [postgres, started] = await Promise.all([startPostgres(), startNats(small)]);
  server = started;
  test = await createTestDatabase({ postgres, name: 'replay', migrations: [...messagingMigrations] });
  nats = await connectNats({ url: server.url, name: 'replay-test' });
  responder = new ReplayResponder(nats, test.database, producer, logger);
  await nats.flush();
});
afterAll(async () => {
  await responder.stop();
  await nats.drain();
  await server.stop();
  await test.drop();
});

describe('a replay that cannot be answered', () => {
  it('is refused at once, and the consumer is told why', async () => {
    const insert = `INSERT INTO sync_outbox_head VALUES ('DELTAS', 0, 'e1', 2, 2);
      INSERT INTO sync_outbox (stream, partition, number, payload) VALUES
        ('DELTAS', 0, 1, '["' || repeat('x', 70000) || '"]'), ('DELTAS', 0, 2, '[]')`;
    await test.database.transaction((tx) => tx.query(insert));
    await expect(requestReplay(nats, producer, asked)).rejects.toMatchObject({
      name: 'RemoteError',
      code: 'reply_too_large',
    });
    expect(logged).toEqual(['request failed']);
    const { messages } = await requestReplay(nats, producer, { ...asked, after: 1 });
    expect(messages).toEqual([{ number: 2, payload: '[]' }]);
  });

  it('says so of what is no request, and of a fault of its own', async () => {
    const raw = await nats.request(subjects.replay(producer), '{}', { timeout: 5_000 });
    expect(raw.json()).toMatchObject({ error: { code: 'malformed' } });
    const broken = { call: () => Promise.reject(new Error('password of the database')) };
    const name = `${producer}-broken`;
    const other = new ReplayResponder(nats, broken, name, logger);
    await nats.flush();
    await expect(requestReplay(nats, name, asked)).rejects.toMatchObject({
      code: 'internal',
      message: 'The request failed',
    });
    await other.stop();
  });
});
