import { randomUUID } from 'node:crypto';
import type { OwnerPushResult } from '@sync/protocol';
import * as Y from 'yjs';
import { PageDevice } from './testing/page-device.ts';
import { PageRig, codesOf } from './testing/page-rig.ts';

let rig: PageRig;
beforeAll(async () => {
  rig = await PageRig.start('client_ids');
});
afterAll(() => rig.stop());

const CLIENT = 7;

/** Devices of one user whose app gave them one clientID. */
async function devicesOf(entityId: string, ...names: readonly string[]): Promise<PageDevice[]> {
  return Promise.all(
    names.map(async (name) => {
      const device = await new PageDevice(rig, entityId, name, 'u1').pull();
      device.doc.clientID = CLIENT;
      return device;
    }),
  );
}

async function twins(): Promise<[PageDevice, PageDevice]> {
  const [first, second] = await devicesOf(await rig.seededPage(''), 'd1', 'd2');
  if (!first || !second) throw new Error('two devices');
  return [first, second];
}

const textOf = async ({ entityId }: PageDevice): Promise<string> => (await rig.pageNow(entityId)).text;

const type = (device: PageDevice, words: string): void => {
  for (const letter of words) device.text.insert(device.text.length, letter);
};

/** @returns makes the device as it is now once more, without what it writes from now on */
async function backupOf(device: PageDevice): Promise<() => PageDevice> {
  const state = Y.encodeStateAsUpdate(device.doc);
  const { clock } = await rig.pageNow(device.entityId);
  return () => {
    const again = new PageDevice(rig, device.entityId, device.deviceId, device.userId);
    again.restore(state, clock);
    again.doc.clientID = device.doc.clientID;
    return again;
  };
}

const same = (code: string, results: readonly OwnerPushResult[]): void =>
  expect(codesOf(results)).toEqual(results.map(() => code));

describe('two devices of a user with one clientID', () => {
  it('lose nothing: whoever comes second is refused, whatever of it would have fitted', async () => {
    const [first, second] = await twins();
    type(first, 'hello');
    type(second, 'help me');
    same('applied', await first.pushEach());
    const refused = ['client_id_foreign', 'client_id_foreign', 'client_id_foreign', 'update_incomplete'];
    expect(codesOf(await second.pushEach())).toEqual(['applied', 'applied', 'applied', ...refused]);
    expect(await textOf(second)).toBe('hello');
    // The first goes on under it.
    type(first, ' there');
    same('applied', await first.pushEach());
    expect(await textOf(first)).toBe('hello there');
  });

  it('are told apart where the second goes on exactly behind what the first wrote', async () => {
    const [first, second] = await twins();
    type(first, 'ab');
    type(second, 'abc');
    await first.pushEach();
    expect(codesOf(await second.pushEach()).at(-1)).toBe('client_id_foreign');
    expect(await textOf(first)).toBe('ab');
  });

  it('may send each other’s words again, in one update with their own', async () => {
    const [first, second] = await twins();
    second.doc.clientID = 8;
    type(first, 'hello');
    await first.pushEach();
    await second.pull();
    type(second, '!');
    second.drop();
    same('applied', await second.push([second.merge(Y.encodeStateAsUpdate(second.doc))]));
    expect(await textOf(first)).toBe('hello!');
  });

  it('are two devices also where it is not known yet whose the clientID is', async () => {
    const [first, second] = await twins();
    type(first, 'ab');
    await first.pushEach();
    await rig.rows('UPDATE sync_document_client SET device = NULL WHERE entity_id = $1', [first.entityId]);
    type(first, 'c');
    same('applied', await first.pushEach());
    type(second, 'abcd');
    expect(codesOf(await second.pushEach()).at(-1)).toBe('client_id_foreign');
    expect(await textOf(first)).toBe('abc');
  });
});

describe('a device that was restored from a backup', () => {
  it('cannot write under a clientID on which it went on before, and nothing is put behind what it wrote then', async () => {
    const [device] = await twins();
    type(device, 'ab');
    const restored = await backupOf(device);
    type(device, 'cdef');
    await device.pushEach();
    const again = restored();
    type(again, 'xy');
    same('client_id_foreign', await again.pushEach());
    type(again, 'zw');
    type(again, '!');
    same('client_id_foreign', await again.pushEach());
    expect(await textOf(device)).toBe('abcdef');
    // Nor does the other life of it: it could not know which of the two is told.
    type(device, 'g');
    same('client_id_foreign', await device.pushEach());
    const fresh = await new PageDevice(rig, device.entityId, device.deviceId, device.userId).pull();
    type(fresh, '+');
    same('applied', await fresh.pushEach());
    expect(await textOf(device)).toBe('abcdef+');
  });

  it('is found out by the log where its words were deleted meanwhile', async () => {
    const [device, other] = await twins();
    const restored = await backupOf(device);
    type(device, 'abc');
    await device.pushEach();
    other.doc.clientID = 8;
    await other.pull();
    other.text.delete(0, 3);
    await other.pushEach();
    // The very same again is a repetition, of words that are gone.
    const repeated = restored();
    type(repeated, 'abc');
    expect(codesOf(await repeated.push())).toEqual(['applied', 'applied', 'applied']);
    const again = restored();
    type(again, 'xyz');
    same('client_id_foreign', await again.pushEach());
    expect(await textOf(device)).toBe('');
  });

  it('is taken where nobody can tell any more, and what it brought is reported as not compared', async () => {
    const [device, other] = await twins();
    const restored = await backupOf(device);
    device.text.insert(0, 'abc');
    await device.pushEach();
    other.doc.clientID = 8;
    await other.pull();
    other.text.delete(0, 3);
    await other.pushEach();
    await rig.rows(`UPDATE sync_document_update SET doc_update = '' WHERE entity_id = $1`, [device.entityId]);
    const again = restored();
    again.text.insert(0, 'xyz');
    expect(await again.pushEach()).toMatchObject([
      { status: 'applied', overlaps: { grade: 'severe', compared: false } },
    ]);
  });
});

it('binds no clientID by what is refused', async () => {
  const [first, second] = await twins();
  const tooLong = first.merge(Buffer.from('no update'));
  same('update_invalid', await first.push([{ ...tooLong, mutationId: randomUUID() }]));
  type(second, 'a');
  same('applied', await second.pushEach());
});
