import { MatchersV3 } from '@pact-foundation/pact';
import type { DecisionInput } from '@sync/domain';
import type { NatsConnection } from '@nats-io/transport-node';
import { connectNats } from '@sync/messaging';
import { type RunningNats, startNats } from '@sync/messaging/testing';
import { MessageContract } from '@sync/messaging/testing/pact';
import { subjects } from '@sync/protocol';
import { AskResolver } from './ask-resolver.ts';
import { silent } from './testing/push-rig.ts';

const { like } = MatchersV3;

/** A device's change of a field that another device wrote at 1,000 ms. */
function question(changes: Partial<DecisionInput>, atMs = 2_000): DecisionInput {
  return {
    mutation: {
      mutationId: '00000000-0000-4000-8000-000000000011',
      deviceId: 'a',
      entityType: 'progress',
      entityId: 'p1',
      op: 'patch',
      data: { percent: 40 },
      update: null,
      baseClock: {},
      occurredAtMs: atMs,
      schemaVersion: 1,
    },
    current: {
      revision: 3,
      clock: { 'd:b': 1 },
      data: { percent: 60 },
      deleted: false,
      deletedData: null,
      fieldWrites: { percent: { atMs: 1_000, by: 'd:b', counter: 1 } },
    },
    policy: 'lww',
    review: 'none',
    serverNowMs: 5_000,
    ...changes,
  };
}

describe('the gateway expects of the conflict-resolver', () => {
  let server: RunningNats;
  let nats: NatsConnection;
  let contract: MessageContract;

  beforeAll(async () => {
    server = await startNats({ own: true });
    nats = await connectNats({ url: server.url, name: 'contract' });
    contract = new MessageContract('sync-gateway', 'conflict-resolver');
  });
  afterAll(async () => {
    await nats.close();
    await server.stop();
  });

  const record = like({
    policy: 'lww',
    entityType: 'progress',
    entityId: 'p1',
    mutationId: '00000000-0000-4000-8000-000000000011',
    fields: [{ field: 'percent', ours: 60, theirs: 40 }],
  });

  it.each<[string, DecisionInput, Record<string, unknown>]>([
    [
      'a later write is to be submitted on the present revision',
      question({}),
      {
        kind: 'submit',
        op: 'patch',
        data: { percent: 40 },
        update: null,
        clock: { 'd:a': 1, 'd:b': 1 },
        expectedRevision: 3,
        status: 'merged',
        record,
        fieldWrites: like({ percent: { atMs: 2_000, by: 'd:a', counter: 1 } }),
      },
    ],
    ['an earlier write is superseded, with a record', question({}, 500), { kind: 'supersede', record }],
    [
      'a collision under review is held for a person',
      question({ review: 'collisions' }),
      { kind: 'hold', record },
    ],
    [
      'a change of what only the server changes is rejected',
      question({ policy: 'server_authoritative' }),
      { kind: 'reject', code: 'server_changed', record: like({ policy: 'server_authoritative' }) },
    ],
  ])('that %s', async (what, input, decision) => {
    const asked = await contract.reply(
      {
        nats,
        subject: subjects.decide,
        what,
        request: { tenantId: 'pact', items: [input] },
        reply: { decisions: [decision] },
      },
      () => new AskResolver(nats, silent).decide('pact', [input]),
    );
    expect(asked).toMatchObject([{ kind: decision['kind'] }]);
  });
});
