import { randomUUID } from 'node:crypto';
import { needed } from '@sync/e2e-conformance/needs';
import { request } from '@sync/messaging';
import { SyncRegistration, UpcastReply, decoder, validator } from '@sync/protocol';
import { target } from './kit/config.ts';
import { Owner, typesUnderTest } from './kit/owner.ts';
import { Writer } from './kit/writer.ts';

const checkRegistration = validator(SyncRegistration);

/** Steps are carried out by the gateway; a subject is the service’s own. */
const upcastersOf = (type: ReturnType<typeof typesUnderTest>[number]): { from: number; subject: string }[] =>
  (type.registration.upcasters ?? []).flatMap((upcaster) => ('subject' in upcaster ? [upcaster] : []));

it('registers entity types of its own name, in the form of the protocol', () => {
  const { registration, service } = target();
  expect(checkRegistration(registration)).toMatchObject({ ok: true });
  expect(registration.service).toBe(service);
  const names = registration.entityTypes.map(({ entityType }) => entityType);
  expect(names).toEqual([...new Set(names)]);
});

it('takes the user of a scope from the data of the entity', () => {
  const { entityTypes } = target().registration;
  const scopes = entityTypes.flatMap(({ projection }) => {
    return projection.kind === 'declarative' ? projection.scopes : [];
  });
  expect(scopes.filter((scope) => /^user:[^{]/.test(scope))).toEqual([]);
});

describe.each(typesUnderTest())('$entityType', (type) => {
  it('has an upcaster of every version from the oldest on', () => {
    const { upcasters, schemaVersion } = type.registration;
    if (!upcasters || upcasters.length === 0) throw needed('a registration with upcasters');
    const from = upcasters.map((upcaster) => upcaster.from).sort((one, other) => one - other);
    const oldest = from[0] ?? 0;
    expect(from).toEqual(Array.from({ length: schemaVersion - oldest }, (_unused, at) => oldest + at));
  });

  it('lifts data of an older version, the same every time, each mutation for itself', async () => {
    const { older } = type.example;
    const upcaster = upcastersOf(type).find(({ from }) => from === older?.from);
    if (!older || !upcaster)
      throw needed(`“older” of ${type.entityType}, of a version that is lifted by a subject`);
    const owner = await Owner.connect();
    try {
      const writer = new Writer(type);
      const mutations = [older.data, {}].map((data) => ({ mutationId: randomUUID(), op: 'put', data }));
      const body = { tenantId: writer.tenantId, entityType: type.entityType, from: older.from, mutations };
      const lift = (): Promise<UpcastReply> =>
        request(owner.nats, upcaster.subject, body, {
          timeoutMs: 12_000,
          decode: decoder(UpcastReply, 'an UpcastReply'),
        });
      const first = await lift();
      expect(first.results).toHaveLength(2);
      expect(first.results[0]).toMatchObject({ data: expect.any(Object) as object });
      expect(await lift()).toEqual(first);
    } finally {
      await owner.close();
    }
  });
});
