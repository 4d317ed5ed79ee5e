import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { LocalMutation } from '@sync/protocol';
import { tagMutation } from '../testing/tag-mutation.ts';
import type { TestDevice } from '../testing/test-identity.ts';
import { mutationOf, newAuthor, type PushRig, startPushRig } from './testing/push-rig.ts';

/** Tags of mutations as they come: made by their device, by somebody else, or not at all. */
let rig: PushRig;
beforeAll(async () => {
  rig = await startPushRig();
});
afterAll(() => rig.stop());
beforeEach(() => {
  rig.identity.answering = true;
});

async function newDevice(): Promise<TestDevice> {
  const { tenantId, userId, deviceId } = newAuthor();
  return rig.identity.bind(tenantId, userId, deviceId);
}

async function counted(code: string): Promise<number> {
  const { values } = await rig.metrics.refusedTags.get();
  return values.find(({ labels }) => labels.code === code && labels.when === 'came')?.value ?? 0;
}

describe('a tag', () => {
  it('by the device of the mutation is taken, and its owner gets it', async () => {
    const device = await newDevice();
    const tagged = tagMutation(device, mutationOf(device, { entityType: 'bookmark' }));
    expect(await rig.push(device, [tagged])).toMatchObject([{ status: 'applied' }]);
    expect(
      rig.owner.requests.flat().find(({ mutationId }) => mutationId === tagged.mutationId),
    ).toMatchObject({
      tag: tagged.tag,
    });
  });

  it('covers fields that the gateway does not know, keys that are integers, and keys beyond U+FFFF', async () => {
    const device = await newDevice();
    const data = {
      userId: device.userId,
      '10': 1,
      '9': { '1': 2, a: [{ '2': 1, '11': 0 }] },
      '😀': 1,
      '￿': 2,
    };
    const mutation = { ...mutationOf(device, { data }), later: { 'of a newer app': [1, null] } };
    const tagged = tagMutation(device, mutation);
    const changed = { ...tagMutation(device, { ...mutation, ...fresh(mutation) }), later: {} };
    const [good, bad] = await rig.push(device, [tagged, changed]);
    expect(good).toMatchObject({ status: 'applied' });
    expect(bad).toMatchObject({ status: 'rejected', code: 'tag_invalid' });
  });

  it.each<[string, (tagged: LocalMutation, device: TestDevice) => LocalMutation]>([
    ['another value', (tagged) => ({ ...tagged, data: { ...tagged.data, percent: 99 } })],
    ['another entity', (tagged) => ({ ...tagged, entityId: 'another' })],
    ['another time', (tagged) => ({ ...tagged, occurredAt: '2026-01-01T00:00:00Z' })],
    ['another number', (tagged) => ({ ...tagged, sequence: tagged.sequence + 1_000_000 })],
    ['a field left out', ({ schemaVersion: _, ...tagged }) => tagged],
    ['another id', (tagged) => ({ ...tagged, mutationId: mutationOf(newAuthor()).mutationId })],
    [
      'the tag of another mutation',
      (tagged, device) => {
        return { ...tagged, tag: tagMutation(device, mutationOf(device)).tag };
      },
    ],
    [
      'the tag of another device',
      (tagged, device) => {
        return tagMutation({ ...device, deviceId: 'd-other' }, untagged(tagged));
      },
    ],
    [
      'the tag of another user',
      (tagged, device) => {
        return tagMutation({ ...device, userId: 'u-other' }, untagged(tagged));
      },
    ],
    [
      'the tag of another tenant',
      (tagged, device) => {
        return tagMutation({ ...device, tenantId: 't-other' }, untagged(tagged));
      },
    ],
    [
      'the tag of another key',
      (tagged, device) => {
        return tagMutation({ ...device, hmacKey: Buffer.alloc(32, 7).toString('base64') }, untagged(tagged));
      },
    ],
  ])('does not fit %s: it is refused, counted, and harms no neighbour', async (_what, change) => {
    const device = await newDevice();
    const before = await counted('tag_invalid');
    const bad = change(tagMutation(device, mutationOf(device)), device);
    const neighbour = tagMutation(device, mutationOf(device));
    expect(await rig.push(device, [bad, neighbour])).toMatchObject([
      { status: 'rejected', code: 'tag_invalid' },
      { status: 'applied' },
    ]);
    expect(await counted('tag_invalid')).toBe(before + 1);
    expect(rig.owner.applied).not.toContain(bad.mutationId);
    expect(await payloadOf(device, bad)).toBeNull();
  });

  it('is not missed where the registration does not ask for it, and refused where it does', async () => {
    const device = await newDevice();
    const mutations = [mutationOf(device), mutationOf(device, { entityType: 'bookmark' })];
    expect(await rig.push(device, mutations)).toMatchObject([
      { status: 'applied' },
      { status: 'rejected', code: 'tag_missing' },
    ]);
    expect(rig.owner.applied).not.toContain(mutations[1]?.mutationId);
  });

  it('is no part of the change: without it, or with a wrong one, the first outcome comes again', async () => {
    const device = await newDevice();
    const mutation = mutationOf(device);
    const tagged = tagMutation(device, mutation);
    const [first] = await rig.push(device, [tagged]);
    const wrong = { ...tagged, tag: tagMutation(device, mutationOf(device)).tag };
    for (const again of [tagged, mutation, wrong]) expect(await rig.push(device, [again])).toEqual([first]);
    expect(await rig.push(device, [{ ...tagged, data: { ...tagged.data, percent: 99 } }])).toMatchObject([
      { status: 'rejected', code: 'tag_invalid' },
    ]);
  });

  it('leaves the id to the rightful mutation, where somebody else has pushed it before', async () => {
    const device = await newDevice();
    const thief = await rig.identity.bind(device.tenantId, device.userId, 'd-thief');
    const stolen = tagMutation(device, mutationOf(device));
    expect(await rig.push(thief, [stolen])).toMatchObject([{ status: 'rejected', code: 'tag_invalid' }]);
    expect(await rig.push(device, [stolen])).toMatchObject([{ status: 'applied' }]);
  });

  it('by an earlier key of the device, or by one that is new here, is good', async () => {
    const device = await newDevice();
    const first = tagMutation(device, mutationOf(device));
    expect(await rig.push(device, [tagMutation(device, mutationOf(device))])).toMatchObject([
      { status: 'applied' },
    ]);
    const rotated = rig.identity.rotate(device);
    const second = tagMutation(rotated, mutationOf(device));
    expect(await rig.push(device, [first, second])).toMatchObject([
      { status: 'applied' },
      { status: 'applied' },
    ]);
  });

  it('that nobody can verify now is no reason to refuse anything: the push comes again', async () => {
    const device = await newDevice();
    const mutation = tagMutation(device, mutationOf(device));
    rig.identity.answering = false;
    await expect(rig.push(device, [mutation])).rejects.toMatchObject({ code: 'unavailable' });
    rig.identity.answering = true;
    expect(await rig.push(device, [mutation])).toMatchObject([{ status: 'applied' }]);
  });

  it('of a device that was unbound on the way is refused for no reason of its own', async () => {
    const device = await newDevice();
    rig.identity.keepsKeys = false;
    await rig.identity.revoke(device);
    await expect(rig.push(device, [tagMutation(device, mutationOf(device))])).rejects.toMatchObject({
      code: 'unavailable',
    });
    rig.identity.keepsKeys = true;
  });

  it('that does not fit is counted once, also where its outcome has to wait', async () => {
    const device = await newDevice();
    rig.owner.projectsAtOnce = false;
    const first = tagMutation(device, mutationOf(device));
    expect(await rig.push(device, [first])).toMatchObject([{ status: 'applied' }]);
    const bad = { ...tagMutation(device, mutationOf(device)), entityId: first.entityId };
    expect(await rig.push(device, [bad])).toMatchObject([{ status: 'accepted' }]);
    rig.owner.projectsAtOnce = true;
    await rig.owner.projectAll();
    expect(await rig.dispatch(device)).toBe(1);
    expect(await rig.waiting(device)).toContainEqual(expect.objectContaining({ code: 'tag_invalid' }));
    const { values } = await rig.metrics.refusedTags.get();
    expect(values.filter(({ labels }) => labels.when === 'waited')).toEqual([]);
  });

  it('stores no more of unknown fields than it has to', async () => {
    const device = await newDevice();
    const mutation = tagMutation(device, { ...mutationOf(device), later: 'x'.repeat(4_097) });
    expect(await rig.push(device, [mutation])).toMatchObject([
      { status: 'rejected', code: 'mutation_invalid' },
    ]);
  });
});

function untagged({ tag: _, ...mutation }: LocalMutation): LocalMutation {
  return mutation;
}

/** What makes it another mutation, of another entity. */
function fresh({ sequence }: LocalMutation): Partial<LocalMutation> {
  return { mutationId: mutationOf(newAuthor()).mutationId, entityId: `again-${sequence}` };
}

async function payloadOf({ tenantId }: TestDevice, { mutationId }: LocalMutation): Promise<string | null> {
  const rows = await rig.test.database.inTenant(tenantId, (tx) =>
    tx.query<{ payload: string | null }>('SELECT payload FROM mutation WHERE mutation_id = $1', [mutationId]),
  );
  expect(rows).toHaveLength(1);
  return rows[0]?.payload ?? null;
}
