import { randomUUID } from 'node:crypto';
import { needed } from '@sync/e2e-conformance/needs';
import { Owner, typesUnderTest } from './kit/owner.ts';
import { Writer } from './kit/writer.ts';

let owner: Owner;
beforeAll(async () => {
  owner = await Owner.connect();
});
afterAll(() => owner.close());

describe.each(typesUnderTest())('$entityType', (type) => {
  it('shows every entity of every tenant once, in pages of any size', async () => {
    const writers = [new Writer(type), new Writer(type), new Writer(type)];
    const ids: string[] = [];
    for (const writer of writers) {
      const mutations = [writer.create(), writer.create(), writer.create()];
      for (const mutation of mutations) await owner.apply(writer, mutation);
      ids.push(...mutations.map(({ entityId }) => `${writer.tenantId}/${entityId}`));
    }
    const tenantIds = writers.map(({ tenantId }) => tenantId);
    for (const limit of [1, 4, 1_000]) {
      const entities = await owner.snapshot(type, tenantIds, limit);
      expect(entities.map(({ tenantId, entityId }) => `${tenantId}/${entityId}`).sort()).toEqual(
        [...ids].sort(),
      );
      expect(entities.map(({ revision, deleted }) => ({ revision, deleted }))).toEqual(
        ids.map(() => ({ revision: 1, deleted: false })),
      );
    }
  });

  it('shows what an entity is now, and nothing of what was deleted', async () => {
    const writer = new Writer(type);
    const [kept, gone] = [writer.create(), writer.create()];
    const [change, remove] = [writer.change(kept.entityId, 1), writer.remove(gone.entityId, 1)];
    await owner.apply(writer, kept, gone, change, remove);
    const events = await owner.awaitEvents(writer, kept.entityId, 2);
    const shown = await owner.stored(writer, kept.entityId);
    expect(shown).toMatchObject({ revision: 2, deleted: false });
    if (type.registration.policy !== 'crdt_yjs') expect(shown?.data).toEqual(events.at(-1)?.data);
    // Left out, or as a deletion: both say that it is not there.
    const rest = await owner.stored(writer, gone.entityId);
    expect(rest ?? { deleted: true, data: null }).toMatchObject({ deleted: true, data: null });
  });

  it('shows the named entities and no others', async () => {
    const { projection } = type.registration;
    const isDocument = projection.kind === 'declarative' && projection.docUpdateField !== undefined;
    if (!isDocument) throw needed('a type with documents (docUpdateField)');
    const writer = new Writer(type);
    const mutations = [writer.create(), writer.create(), writer.create()];
    for (const mutation of mutations) await owner.apply(writer, mutation);
    const named = [...mutations.slice(1).map(({ entityId }) => entityId), randomUUID()];
    const { tenantId } = writer;
    const entities = named.map((entityId) => ({ tenantId, entityId }));
    const page = await owner.page(type, { cursor: null, limit: 10, entities });
    expect(page.entities.map(({ entityId }) => entityId).sort()).toEqual(named.slice(0, 2).sort());
    expect(page.next).toBeNull();
  });

  it('answers a snapshot request that it cannot read with an error', async () => {
    const subject = owner.snapshotSubject(type);
    const reply = await owner.nats.request(subject, '{"cursor":{}}', { timeout: 12_000 });
    expect(reply.json()).toMatchObject({
      error: { code: expect.stringMatching(/^[a-z][a-z0-9_]*$/) as string },
    });
  });
});
