import { MatchersV3 } from '@pact-foundation/pact';
import type { NatsConnection } from '@nats-io/transport-node';
import { connectNats, request } from '@sync/messaging';
import { type RunningNats, startNats } from '@sync/messaging/testing';
import { MessageContract } from '@sync/messaging/testing/pact';
import { STREAMS, subjects } from '@sync/protocol';
import { decodeSnapshotPage, snapshotEvent } from '../backfill/snapshot-events.ts';
import { readEvents } from './read-events.ts';

const { eachLike, integer, like, regex, timestamp } = MatchersV3;

const TIME = timestamp("yyyy-MM-dd'T'HH:mm:ss.SSSX", '2026-01-01T00:00:00.000Z');

/** A DomainEvent of a change by the service itself, as far as the projector reads it. */
const eventOf = (service: string, entityType: string, entityId: string, data: object): object => ({
  specversion: '1.0',
  id: like('event-1'),
  source: like(`/services/${service}`),
  type: like(`${service}.${entityType}.changed.v1`),
  time: TIME,
  tenantid: 'pact',
  entitytype: entityType,
  entityid: entityId,
  entityop: 'put',
  revision: integer(1),
  schemaversion: integer(1),
  entityclock: regex(`^\\{"s:${service}":\\d+\\}$`, `{"s:${service}":1}`),
  data: like(data),
});

describe.each([
  { service: 'learning', entityType: 'note', data: { userId: 'pact-user', text: 'written' } },
  { service: 'authoring', entityType: 'document', data: { courseId: 'c1', title: 'One', body: 'AAA=' } },
])('the projector expects of $service', ({ service, entityType, data }) => {
  let server: RunningNats;
  let nats: NatsConnection;
  let contract: MessageContract;
  const entityId = `pact-projected-${entityType}`;

  beforeAll(async () => {
    server = await startNats({ own: true });
    nats = await connectNats({ url: server.url, name: 'contract' });
    contract = new MessageContract('delta-projector', service);
  });
  afterAll(async () => {
    await nats.close();
    await server.stop();
  });

  it('a batch of domain events for every change', async () => {
    const events = await contract.message(
      {
        subject: subjects.streamMessage('DOMAIN_EVENTS', '{partition}', service),
        what: `${entityType} ${entityId} was changed by the service`,
        contents: [eventOf(service, entityType, entityId, data)],
      },
      (payload) => readEvents(payload),
    );
    expect(events).toMatchObject([{ kind: 'readable', event: { entityid: entityId, data } }]);
    expect(STREAMS.DOMAIN_EVENTS.partitions).toBeGreaterThan(0);
  });

  it('pages of a snapshot', async () => {
    const cursor = null;
    const page = await contract.reply(
      {
        nats,
        subject: subjects.snapshot(service, entityType),
        what: 'the first page of a snapshot',
        given: `${entityType} ${entityId} exists`,
        request: { cursor, limit: 1 },
        reply: {
          entities: eachLike({
            tenantId: regex('^[A-Za-z0-9_-]{1,64}$', 'pact'),
            entityId: like(entityId),
            revision: integer(1),
            deleted: like(false),
            data: like(data),
          }),
          next: like('cursor-2'),
        },
      },
      () =>
        request(
          nats,
          subjects.snapshot(service, entityType),
          { cursor, limit: 1 },
          {
            timeoutMs: 5_000,
            decode: decodeSnapshotPage,
          },
        ),
    );
    const nowIso = '2026-01-01T00:00:00.000Z';
    const [event] = page.entities.map((entity) => snapshotEvent(entity, { service, entityType, nowIso }));
    expect(event?.identity).toMatchObject({ entityId, revision: 1 });
  });
});
