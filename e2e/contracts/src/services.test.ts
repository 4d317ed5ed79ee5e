import type { NatsConnection } from '@nats-io/transport-node';
import { bindDevice, changeOnServer } from '@sync/e2e-device';
import { connectNats } from '@sync/messaging';
import { subjects } from '@sync/protocol';
import { holdConflict } from './testing/held-conflict.ts';
import { platform } from './testing/platform.ts';
import { publishedBatch } from './testing/published-batch.ts';
import { askOver, verifyProvider } from './testing/verify-provider.ts';

const TENANT = 'pact';

describe('keeps to the contracts of its consumers:', () => {
  let nats: NatsConnection;

  beforeAll(async () => {
    nats = await connectNats({ url: platform().nats, name: 'contracts' });
  });
  afterAll(() => nats.close());

  const publishChange = (service: string, url: string, entityType: string, data: Record<string, unknown>) => {
    const entityId = `pact-projected-${entityType}`;
    return publishedBatch(
      nats,
      subjects.streamMessage('DOMAIN_EVENTS', '*', service),
      (event) => (event as { entityid?: unknown }).entityid === entityId,
      () => changeOnServer(url, TENANT, entityType, entityId, data),
    );
  };
  const NOTE = { userId: 'pact-user', text: 'on the server' };
  const DOCUMENT = { courseId: 'c1', title: 'One' };

  it('learning', async () => {
    const { learning } = platform();
    const verified = await verifyProvider({
      provider: 'learning',
      consumers: ['sync-gateway', 'delta-projector'],
      ask: askOver(nats),
      states: {
        'the note pact-note-there exists': async () => {
          await changeOnServer(learning, TENANT, 'note', 'pact-note-there', NOTE);
          return undefined;
        },
        'note pact-projected-note exists': async () => {
          await changeOnServer(learning, TENANT, 'note', 'pact-projected-note', NOTE);
          return undefined;
        },
      },
      publish: () => publishChange('learning', learning, 'note', NOTE),
    });
    expect(verified.broken).toEqual([]);
    expect(verified.kept).toHaveLength(7);
  });

  it('authoring', async () => {
    const { authoring } = platform();
    const verified = await verifyProvider({
      provider: 'authoring',
      consumers: ['sync-gateway', 'delta-projector'],
      ask: askOver(nats),
      states: {
        'document pact-projected-document exists': async () => {
          await changeOnServer(authoring, TENANT, 'document', 'pact-projected-document', DOCUMENT);
          return undefined;
        },
      },
      publish: () => publishChange('authoring', authoring, 'document', DOCUMENT),
    });
    expect(verified.broken).toEqual([]);
    expect(verified.kept).toHaveLength(4);
  });

  it('identity', async () => {
    const standIns = new Map<string, string>();
    const verified = await verifyProvider({
      provider: 'identity',
      consumers: ['sync-gateway'],
      ask: askOver(nats),
      standIns,
      states: {
        'the device pact-device is bound to pact-user': async () => {
          standIns.set('pact-device', (await bindDevice(platform(), TENANT, 'pact-user')).deviceId);
          return undefined;
        },
      },
    });
    expect(verified.broken).toEqual([]);
    expect(verified.kept).toHaveLength(2);
  });

  /** Held once each: a contract names the mutation, and by that the record. */
  const held = new Map<string, Promise<unknown>>();
  const holdOf = (mutationId: string): readonly [string, () => Promise<undefined>] => [
    `the user has an open conflict of mutation ${mutationId}`,
    async () => {
      const known = held.get(mutationId);
      const where = { tenantId: TENANT, userId: 'pact-user', entityId: mutationId, mutationId };
      const holding = known ?? holdConflict(where).then((device) => device.close());
      held.set(mutationId, holding);
      await holding;
      return undefined;
    },
  ];
  const HELD = Object.fromEntries(
    ['00000000-0000-4000-8000-000000000031', '00000000-0000-4000-8000-000000000032'].map(holdOf),
  );

  it('conflict-resolver', async () => {
    const verified = await verifyProvider({
      ...{ provider: 'conflict-resolver', consumers: ['sync-gateway'], ask: askOver(nats), states: HELD },
    });
    expect(verified.broken).toEqual([]);
    expect(verified.kept).toHaveLength(6);
  });

  it('and Pact notices a service that answers otherwise', async () => {
    const ask = askOver(nats);
    const { broken } = await verifyProvider({
      ...{ provider: 'conflict-resolver', consumers: ['sync-gateway'], states: HELD },
      ask: async (subject, content) => {
        const text = JSON.stringify(await ask(subject, content));
        return JSON.parse(text.replaceAll('"kind":"moved"', '"kind":"gone"')) as unknown;
      },
    });
    expect(broken).toEqual([expect.stringContaining('a decision on an earlier state')]);
  });
});
