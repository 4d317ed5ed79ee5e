import type { NatsConnection } from '@nats-io/transport-node';
import {
  OutboxRelay,
  type PartitionedConsumer,
  appendToOutbox,
  connectNats,
  ensureStreams,
} from '@sync/messaging';
import { type RunningNats, startNats } from '@sync/messaging/testing';
import { STREAMS, type SyncEvent } from '@sync/protocol';
import { createLogger } from '@sync/service-kit';
import { ConflictRig, conflictEvent } from '../testing/conflict-rig.ts';
import { noSuggestions } from '../suggestions/suggestion-source.ts';
import { consumeConflicts } from './consume-conflicts.ts';
import type { DetectedConflict } from './conflict-record.ts';
import { bringsRecord } from './record-conflicts.ts';

const logger = createLogger({ service: 'test', level: 'silent' });

describe('the wait of the resolver for more sync events', () => {
  let rig: ConflictRig;
  let server: RunningNats;
  let nats: NatsConnection;
  let relay: OutboxRelay;
  let consumer: PartitionedConsumer<DetectedConflict[]>;
  const firstAdded = Promise.withResolvers<readonly DetectedConflict[]>();

  beforeAll(async () => {
    rig = await ConflictRig.start();
    server = await startNats({ own: true });
    nats = await connectNats({ url: server.url, name: 'test' });
    await ensureStreams(nats, [STREAMS.SYNC_EVENTS]);
    const { database } = rig.test;
    const streams = [STREAMS.SYNC_EVENTS];
    relay = new OutboxRelay({ database, nats, producer: 'sync-gateway', streams, logger });
    relay.start();
    consumer = consumeConflicts({
      service: 'conflict-resolver',
      ...{ database, nats, logger, owner: rig.owner, suggestions: noSuggestions },
      recorded: (added) => {
        if (added.length > 0) firstAdded.resolve(added);
      },
      lingerMs: 3_600_000,
    });
    consumer.start();
  });
  afterAll(async () => {
    await consumer.stop();
    await relay.stop();
    await nats.close();
    await server.stop();
    await rig.stop();
  });

  async function send(...events: readonly SyncEvent[]): Promise<void> {
    const row = { stream: 'SYNC_EVENTS', partition: 0, payload: JSON.stringify(events) };
    await rig.test.database.transaction((tx) => appendToOutbox(tx, [row]));
    relay.kick();
  }

  it('ends at once when a conflict comes, and what waited goes along', async () => {
    const conflict = conflictEvent('t1');
    await send({
      ...conflict,
      type: 'sync.push.completed.v1',
      data: { counts: { applied: 1 }, mutations: [] },
    });
    await send(conflict);
    const added = await firstAdded.promise;
    const { conflictId } = conflict.data as { readonly conflictId: string };
    expect(added.map((record) => record.conflictId)).toEqual([conflictId]);
  });

  it('is for events that bring no record', () => {
    const conflict = conflictEvent('t1');
    const { draft: _draft, ...resolution } = conflict.data as { readonly draft: unknown };
    const texts = [conflict, { ...conflict, data: resolution }].map((event) => JSON.stringify([event]));
    expect(texts.map(bringsRecord)).toEqual([true, false]);
  });
});
