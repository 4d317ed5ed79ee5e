import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { LocalMutation, Outcome } from '@sync/protocol';
import { prepareMutation } from '../push/prepare/prepare-mutation.ts';
import { mutationOf, newAuthor, type PushRig, startPushRig } from '../push/testing/push-rig.ts';
import { tagMutation } from '../testing/tag-mutation.ts';
import type { TestDevice } from '../testing/test-identity.ts';
import { until } from '../testing/until.ts';

/** Mutations with tags that wait, while somebody writes to the gateway’s database or to the device’s binding. */
let rig: PushRig;
beforeAll(async () => {
  rig = await startPushRig({ ownerTimeoutMs: 300 });
  for (const [name, type] of rig.types) rig.types.set(name, { ...type, pushRefuses: true });
});
afterAll(() => rig.stop());
beforeEach(async () => {
  rig.identity.answering = true;
  rig.identity.keepsKeys = true;
  await rig.owner.stop();
});

async function newDevice(tenantId = newAuthor().tenantId): Promise<TestDevice> {
  const { userId, deviceId } = newAuthor();
  return rig.identity.bind(tenantId, userId, deviceId);
}

/** Pushed while the owner is away. */
async function accepted(device: TestDevice, ...mutations: readonly LocalMutation[]): Promise<void> {
  const outcomes = await rig.push(device, mutations);
  expect(outcomes.map(({ status }) => status)).toEqual(mutations.map(() => 'accepted'));
}

/** What they came to, once the owner is back, and not thought to be away any more: so many outcomes. */
async function dispatched(device: TestDevice, count: number): Promise<Map<string, Outcome>> {
  await rig.owner.stop();
  rig.owner.start();
  await rig.nats.flush();
  const outcomes = await until(async () => {
    await rig.dispatch(device);
    const waiting = await rig.waiting(device);
    return waiting.length < count ? null : waiting;
  });
  return new Map(outcomes.map((outcome) => [outcome.mutationId, outcome]));
}

function write({ tenantId }: TestDevice, sql: string, values: readonly unknown[]): Promise<unknown> {
  return rig.test.database.inTenant(tenantId, (tx) => tx.query(sql, values));
}

/** Everything in the ledger that belongs to a payload, as it would be if the mutation had come so. */
async function overwrite(device: TestDevice, mutationId: string, mutation: LocalMutation): Promise<void> {
  const moment = { ...device, sentAtMs: null, serverNowMs: 0 };
  const { payload, identity } = prepareMutation({ ...mutation }, moment, false);
  expect(payload).not.toBeNull();
  await write(
    device,
    `UPDATE mutation SET payload = $2, payload_hash = decode($3, 'hex'), sequence = $4, scope = $5,
       entity_type = $6, entity_id = $7, op = $8, user_id = $9, device_id = $10
     WHERE mutation_id = $1`,
    [
      ...[mutationId, payload, identity, mutation.sequence, mutation.scope, mutation.entityType],
      ...[mutation.entityId, mutation.op, device.userId, device.deviceId],
    ],
  );
}

const TAMPERED = { status: 'rejected', code: 'mutation_tampered' };

describe('a mutation with a tag that waits', () => {
  it.each<[string, (mutation: LocalMutation) => LocalMutation]>([
    ['its content', (mutation) => ({ ...mutation, data: { ...mutation.data, percent: 99 } })],
    ['its entity', (mutation) => ({ ...mutation, entityId: 'another' })],
    ['what it had seen', (mutation) => ({ ...mutation, baseClock: { 's:learning': 9 } })],
    ['when it was made', (mutation) => ({ ...mutation, occurredAt: '2040-01-01T00:00:00Z' })],
  ])('is not carried out where somebody changes %s and every hash', async (_what, change) => {
    const device = await newDevice();
    const [changed, neighbour] = [mutationOf(device), mutationOf(device)].map((one) =>
      tagMutation(device, one),
    );
    if (!changed || !neighbour) throw new Error('there are two');
    await accepted(device, changed, neighbour);
    await overwrite(device, changed.mutationId, change(changed));
    const outcomes = await dispatched(device, 2);
    expect(outcomes.get(changed.mutationId)).toMatchObject(TAMPERED);
    expect(outcomes.get(neighbour.mutationId)).toMatchObject({ status: 'applied' });
    expect(rig.owner.applied).not.toContain(changed.mutationId);
  });

  it('is refused without its tag, where its registration asks for one, and kept in a record', async () => {
    const device = await newDevice();
    const mutation = tagMutation(device, mutationOf(device, { entityType: 'bookmark' }));
    await accepted(device, mutation);
    const { tag: _, ...bare } = mutation;
    await overwrite(device, mutation.mutationId, { ...bare, data: { ...bare.data, percent: 99 } });
    const outcome = (await dispatched(device, 1)).get(mutation.mutationId);
    expect(outcome).toMatchObject({ status: 'rejected', code: 'tag_missing' });
    expect(outcome?.conflictId).toBeDefined();
    expect(rig.owner.applied).not.toContain(mutation.mutationId);
    const { values } = await rig.metrics.refusedTags.get();
    expect(values).toMatchObject([{ labels: { code: 'tag_missing', when: 'waited' }, value: 1 }]);
  });

  it('is not carried out with a tag in another place than its own', async () => {
    const device = await newDevice();
    const mutation = tagMutation(device, mutationOf(device, { entityType: 'bookmark' }));
    await accepted(device, mutation);
    const { tag, ...bare } = mutation;
    await overwrite(device, mutation.mutationId, { ...bare, data: { ...bare.data, percent: 99 } });
    await write(
      device,
      `UPDATE mutation SET payload = '{"tag":"' || $2 || '",' || substr(payload, 2) WHERE mutation_id = $1`,
      [mutation.mutationId, tag],
    );
    expect((await dispatched(device, 1)).get(mutation.mutationId)).toMatchObject(TAMPERED);
  });

  it.each<[string, (mutation: LocalMutation, copy: string) => LocalMutation]>([
    ['as it is', (mutation) => mutation],
    ['with that id', (mutation, mutationId) => ({ ...mutation, mutationId })],
  ])('is not carried out again under another id, copied %s', async (_how, copy) => {
    const device = await newDevice();
    const [original, other] = [mutationOf(device), mutationOf(device)].map((one) => tagMutation(device, one));
    if (!original || !other) throw new Error('there are two');
    await accepted(device, original, other);
    await overwrite(device, other.mutationId, copy(original, other.mutationId));
    const outcomes = await dispatched(device, 2);
    expect(outcomes.get(original.mutationId)).toMatchObject({ status: 'applied' });
    expect(outcomes.get(other.mutationId)).toMatchObject(TAMPERED);
    expect(rig.owner.applied.filter((id) => id === original.mutationId)).toHaveLength(1);
  });

  it('is not carried out from the queue of another device, user or tenant', async () => {
    const stolen = await newDevice();
    const mutation = tagMutation(stolen, mutationOf(stolen));
    for (const thief of [await newDevice(stolen.tenantId), await newDevice()]) {
      const waiting = tagMutation(thief, mutationOf(thief));
      await accepted(thief, waiting);
      await overwrite(thief, waiting.mutationId, {
        ...mutation,
        mutationId: waiting.mutationId,
        scope: waiting.scope,
      });
      const outcomes = await dispatched(thief, 1);
      expect(outcomes.get(waiting.mutationId)).toMatchObject(TAMPERED);
      await rig.owner.stop();
    }
  });

  it('is carried out by an earlier key, and by one that this replica has not heard of', async () => {
    const device = await newDevice();
    const before = tagMutation(device, mutationOf(device));
    await accepted(device, before);
    const rotated = rig.identity.rotate(rig.identity.rotate(device));
    const after = tagMutation(rotated, mutationOf(device));
    await accepted(device, tagMutation(device, mutationOf(device)));
    await overwrite(device, before.mutationId, before);
    await accepted(device, after);
    const outcomes = [...(await dispatched(device, 3)).values()];
    expect(outcomes.map(({ status }) => status)).toEqual(['applied', 'applied', 'applied']);
  });

  it('is carried out after its device was revoked, as long as the identity service has its key', async () => {
    const device = await newDevice();
    const [good, changed] = [mutationOf(device), mutationOf(device)].map((one) => tagMutation(device, one));
    if (!good || !changed) throw new Error('there are two');
    await accepted(device, good, changed);
    await overwrite(device, changed.mutationId, { ...changed, data: { ...changed.data, percent: 99 } });
    await rig.identity.revoke(device);
    rig.bindings.forget(device);
    const outcomes = await dispatched(device, 2);
    expect(outcomes.get(good.mutationId)).toMatchObject({ status: 'applied' });
    expect(outcomes.get(changed.mutationId)).toMatchObject(TAMPERED);
  });

  it('is refused and kept in a record, when nobody has the key any more', async () => {
    const device = await newDevice();
    const tagged = tagMutation(device, mutationOf(device));
    const bare = mutationOf(device);
    await accepted(device, tagged, bare);
    rig.identity.keepsKeys = false;
    await rig.identity.revoke(device);
    rig.bindings.forget(device);
    const outcomes = await dispatched(device, 2);
    expect(outcomes.get(tagged.mutationId)).toMatchObject({ status: 'rejected', code: 'tag_unverifiable' });
    expect(outcomes.get(tagged.mutationId)?.conflictId).toBeDefined();
    expect(outcomes.get(bare.mutationId)).toMatchObject({ status: 'applied' });
  });

  it('that its owner may have is asked for before it is refused', async () => {
    const device = await newDevice();
    rig.owner.start();
    await rig.nats.flush();
    rig.owner.mode = 'silent';
    const applied = tagMutation(device, mutationOf(device));
    await accepted(device, applied);
    rig.owner.mode = 'deaf';
    const unheard = tagMutation(device, mutationOf(device));
    await accepted(device, unheard);
    rig.owner.mode = 'answers';
    rig.identity.keepsKeys = false;
    await rig.identity.revoke(device);
    rig.bindings.forget(device);
    const outcomes = await dispatched(device, 2);
    expect(outcomes.get(applied.mutationId)).toMatchObject({ status: 'applied' });
    expect(outcomes.get(unheard.mutationId)).toMatchObject({ status: 'rejected', code: 'tag_unverifiable' });
    expect(outcomes.get(unheard.mutationId)?.conflictId).toBeDefined();
    expect(rig.owner.applied).not.toContain(unheard.mutationId);
  });

  it('waits while nobody can tell, and holds nothing back but its entity', async () => {
    const device = await newDevice();
    const tagged = tagMutation(device, mutationOf(device));
    const bare = mutationOf(device);
    await accepted(device, tagged, bare);
    rig.bindings.forget(device);
    rig.identity.answering = false;
    expect([...(await dispatched(device, 1)).keys()]).toEqual([bare.mutationId]);
    rig.identity.answering = true;
    expect((await dispatched(device, 2)).get(tagged.mutationId)).toMatchObject({ status: 'applied' });
  });

  it('is kept in no record while nobody can tell, whatever else is wrong with it', async () => {
    const device = await newDevice();
    const mutation = tagMutation(device, mutationOf(device));
    await accepted(device, mutation);
    await overwrite(device, mutation.mutationId, {
      ...mutation,
      scope: 'user:another',
      data: { percent: 99 },
    });
    rig.bindings.forget(device);
    rig.identity.answering = false;
    expect(await rig.dispatch(device)).toBe(0);
    rig.identity.answering = true;
    expect((await dispatched(device, 1)).get(mutation.mutationId)).toMatchObject(TAMPERED);
  });

  it('of fields and keys that this gateway does not know is carried out', async () => {
    const device = await newDevice();
    const data = { userId: device.userId, '10': 1, '9': { '1': 2 }, '😀': 1, '￿': 2 };
    const mutation = tagMutation(device, { ...mutationOf(device, { data }), later: { a: ['b'] } });
    await accepted(device, mutation);
    expect((await dispatched(device, 1)).get(mutation.mutationId)).toMatchObject({ status: 'applied' });
  });
});
