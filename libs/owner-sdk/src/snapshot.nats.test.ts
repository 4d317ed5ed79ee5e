import { randomUUID } from 'node:crypto';
import { request } from '@sync/messaging';
import { SnapshotPage, subjects, validator, type SnapshotEntity } from '@sync/protocol';
import { readSnapshotPage } from './snapshot.ts';
import { mutationOf, startOwnerRig, type OwnerRig } from './testing/owner-rig.ts';

let rig: OwnerRig;
beforeAll(async () => {
  rig = await startOwnerRig();
});
afterAll(() => rig.stop());

const askPage = (cursor: string | null, limit: number): Promise<SnapshotPage> =>
  request<SnapshotPage>(
    rig.nats,
    subjects.snapshot(rig.service, 'note'),
    { cursor, limit },
    { timeoutMs: 10_000 },
  );

async function askAll(limit: number): Promise<{ entities: SnapshotEntity[]; pages: number }> {
  const entities: SnapshotEntity[] = [];
  let pages = 0;
  for (let cursor: string | null = null, first = true; first || cursor !== null; first = false) {
    const page: SnapshotPage = await askPage(cursor, limit);
    expect(validator(SnapshotPage)(page)).toMatchObject({ ok: true });
    expect(page.entities.length).toBeLessThanOrEqual(limit);
    entities.push(...page.entities);
    cursor = page.next;
    pages += 1;
  }
  return { entities, pages };
}

const idOf = ({ tenantId, entityId }: { tenantId: string; entityId: string }): string =>
  `${tenantId}/${entityId}`;

describe('a snapshot', () => {
  const pushed: { tenantId: string; entityId: string }[] = [];
  const deletedId = `deleted-${randomUUID()}`;
  beforeAll(async () => {
    // More tenants than one step looks through, most with one entity, some with more than a page.
    for (let index = 0; index < 130; index += 1) {
      const tenantId = `t${index % 2 === 0 ? '' : '_'}${index}`;
      const count = index === 7 || index === 128 ? 23 : 1;
      const batch = Array.from({ length: count }, () => mutationOf());
      await rig.push(tenantId, batch);
      pushed.push(...batch.map(({ entityId }) => ({ tenantId, entityId })));
    }
    await rig.push('t0', [
      mutationOf({ entityId: deletedId }),
      mutationOf({
        entityId: deletedId,
        op: 'delete',
        data: null,
        expectedRevision: 1,
        clock: { 'd:d1': 2 },
      }),
    ]);
    pushed.push({ tenantId: 't0', entityId: deletedId });
    await rig.push('t0', [mutationOf({ entityType: 'statement' })]);
  });

  it.each([1000, 100, 10, 7])('has every entity of every tenant once, in pages of %i', async (limit) => {
    const { entities, pages } = await askAll(limit);
    expect(entities.map(idOf).sort()).toEqual(pushed.map(idOf).sort());
    expect(pages).toBeGreaterThanOrEqual(Math.ceil(pushed.length / limit));
  });

  it('shows a deleted entity with its clock and no data', async () => {
    const { entities } = await askAll(1000);
    expect(entities.find(({ entityId }) => entityId === deletedId)).toMatchObject({
      tenantId: 't0',
      revision: 2,
      clock: { 'd:d1': 2 },
      data: null,
      deleted: true,
    });
  });

  it('shows data, revision and clock of one moment while the entity changes', async () => {
    const entityId = `a-moving-${randomUUID()}`;
    const at = (revision: number): Promise<unknown> =>
      rig.push('a-first', [
        mutationOf({
          entityId,
          data: { userId: 'u1', text: String(revision + 1) },
          expectedRevision: revision,
          clock: { 'd:d1': revision + 1 },
        }),
      ]);
    await at(0);
    pushed.push({ tenantId: 'a-first', entityId });
    const moving = (async (): Promise<void> => {
      for (let revision = 1; revision < 60; revision += 1) await at(revision);
    })();
    for (let look = 0; look < 20; look += 1) {
      const [seen] = (await askPage(null, 1)).entities;
      expect(seen).toMatchObject({ entityId, data: { text: String(seen?.revision) } });
      expect(seen?.clock).toEqual({ 'd:d1': seen?.revision });
    }
    await moving;
  });

  it('shows named entities only, of any tenant, in as many as fit into a message', async () => {
    const named = [
      pushed[0],
      pushed[3],
      { tenantId: 't0', entityId: deletedId },
      { tenantId: 't0', entityId: 'nobody' },
    ];
    const entities = named.flatMap((entity) => (entity ? [entity] : []));
    const ask = (limit: number, asked: typeof entities): Promise<SnapshotPage> => {
      const body = { cursor: null, limit, entities: asked };
      return request<SnapshotPage>(rig.nats, subjects.snapshot(rig.service, 'note'), body, {
        timeoutMs: 10_000,
      });
    };
    const page = await ask(1000, entities);
    expect(page.next).toBeNull();
    expect(page.entities.map(idOf).sort()).toEqual(entities.slice(0, 3).map(idOf).sort());
    const text = 'y'.repeat(500_000);
    const large = [
      mutationOf({ data: { userId: 'u1', text } }),
      mutationOf({ data: { userId: 'u1', text } }),
    ];
    for (const mutation of large) await rig.push('zy-large', [mutation]);
    const both = large.map(({ entityId }) => ({ tenantId: 'zy-large', entityId }));
    pushed.push(...both);
    const cut = await ask(2, both);
    expect([cut.entities.length, cut.next]).toEqual([1, null]);
  });

  it('ends a page early when it would not fit a message', async () => {
    const text = 'x'.repeat(300_000);
    const batch = Array.from({ length: 5 }, () => mutationOf({ data: { userId: 'u1', text } }));
    for (const mutation of batch) await rig.push('zz-large', [mutation]);
    pushed.push(...batch.map(({ entityId }) => ({ tenantId: 'zz-large', entityId })));
    const { entities } = await askAll(1000);
    expect(entities.map(idOf).sort()).toEqual(pushed.map(idOf).sort());
  });

  it('reads few of large entities at once, and many of small ones', async () => {
    const read: number[] = [];
    const { note } = rig.definitions;
    const counting = {
      ...note,
      load: (...[tx, tenantId, entityIds]: Parameters<typeof note.load>) => {
        read.push(entityIds.length);
        return note.load(tx, tenantId, entityIds);
      },
    };
    const write = async (tenantId: string, count: number, length: number): Promise<void> => {
      const text = 'x'.repeat(length);
      const batch = Array.from({ length: count }, () => mutationOf({ data: { userId: 'u1', text } }));
      for (const mutation of batch) await rig.push(tenantId, [mutation]);
      pushed.push(...batch.map(({ entityId }) => ({ tenantId, entityId })));
    };
    await write('zzy-small', 120, 10);
    await write('zzz-large', 20, 300_000);
    let cursor: string | null = Buffer.from('zzy-small\0').toString('base64url');
    while (cursor !== null) {
      ({ next: cursor } = await readSnapshotPage(rig.test.database, counting, { cursor, limit: 1000 }));
    }
    expect(read.slice(0, 2)).toEqual([10, 100]);
    expect(Math.max(...read.slice(4))).toBe(10);
  });

  it('refuses a foreign cursor and a limit out of bounds', async () => {
    await expect(askPage('AAAA', 10)).rejects.toMatchObject({ code: 'cursor_invalid' });
    await expect(askPage(null, 1001)).rejects.toMatchObject({ code: 'schema_invalid' });
  });
});
