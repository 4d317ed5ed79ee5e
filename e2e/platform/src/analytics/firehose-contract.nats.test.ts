import { setTimeout as sleep } from 'node:timers/promises';
import { MatchersV3 } from '@pact-foundation/pact';
import { OutboxRelay, appendToOutbox } from '@sync/messaging';
import { MessageContract } from '@sync/messaging/testing/pact';
import { STREAMS, subjects } from '@sync/protocol';
import { type ServiceRig, startServiceRig } from '../testing/platform-rig.ts';
import { startAnalytics } from './start-analytics.ts';

const { integer, like, regex, timestamp } = MatchersV3;
const ignore = (): void => undefined;
const MUTATION = '00000000-0000-4000-8000-000000000021';

describe('analytics expects of the gateway', () => {
  let rig: ServiceRig;
  let relay: OutboxRelay;

  beforeAll(async () => {
    rig = await startServiceRig('analytics', (config) => startAnalytics({ ...config, retentionHours: 168 }));
    relay = new OutboxRelay({
      database: rig.database,
      nats: rig.nats,
      producer: 'contract',
      streams: [STREAMS.SYNC_EVENTS],
      logger: { debug: ignore, info: ignore, warn: ignore, error: ignore },
      pollMs: 20,
    });
    relay.start();
  });
  afterAll(async () => {
    await relay.stop();
    await rig.stop();
  });

  const stored = async (tenant: string): Promise<unknown[]> => {
    for (;;) {
      const { body } = await rig.call('GET', `/dev/events?tenant=${tenant}`);
      const events = body['events'] as unknown[];
      if (events.length > 0) return events;
      await sleep(20);
    }
  };

  it('an event for every push: how much was applied, and what was not', async () => {
    const events = await new MessageContract('analytics', 'sync-gateway').message(
      {
        subject: subjects.streamMessage('SYNC_EVENTS', '{partition}', 'sync-gateway'),
        what: `mutation ${MUTATION} was refused, beside one that was applied`,
        contents: [
          {
            specversion: '1.0',
            id: like('event-1'),
            source: like('sync-gateway'),
            type: 'sync.push.completed.v1',
            time: timestamp("yyyy-MM-dd'T'HH:mm:ss.SSSX", '2026-01-01T00:00:00.000Z'),
            tenantid: regex('pact-[a-z0-9]+', 'pact-firehose'),
            userid: like('pact-user'),
            deviceid: like('pact-device'),
            data: {
              counts: { applied: integer(1), rejected: integer(1) },
              mutations: [
                {
                  mutationId: MUTATION,
                  entityType: 'note',
                  entityId: 'pact-firehose',
                  status: 'rejected',
                  code: regex('^[a-z][a-z0-9_]*$', 'op_not_allowed'),
                },
              ],
            },
          },
        ],
      },
      async (payload) => {
        const row = { stream: 'SYNC_EVENTS', partition: 0, payload };
        await rig.database.transaction((tx) => appendToOutbox(tx, [row]));
        relay.kick();
        return stored('pact-firehose');
      },
    );
    expect(events).toMatchObject([
      { type: 'sync.push.completed.v1', data: { mutations: [{ mutationId: MUTATION }] } },
    ]);
  });
});
