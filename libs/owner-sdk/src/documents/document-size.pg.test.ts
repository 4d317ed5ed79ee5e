import { SeededRandom } from '@sync/documents/testing';
import * as Y from 'yjs';
import { PageDevice } from './testing/page-device.ts';
import { PageRig, codesOf } from './testing/page-rig.ts';

const SMALL = { maxStateBytes: 2_000 };

let rig: PageRig;
beforeAll(async () => {
  rig = await PageRig.start('document_size');
});
afterAll(() => rig.stop());

async function deviceWith(text: string): Promise<PageDevice> {
  return new PageDevice(rig, await rig.seededPage(text), 'd1').pull();
}

const textOf = async ({ entityId }: PageDevice): Promise<string> => (await rig.pageNow(entityId)).text;

describe('the bytes of a document', () => {
  it('are bounded: what adds too much is refused, and the document stays as it was', async () => {
    const device = await deviceWith('text');
    device.text.insert(0, 'x'.repeat(3_000));
    expect(codesOf(await device.push([], SMALL))).toEqual(['document_too_large']);
    expect(await textOf(device)).toBe('text');
  });

  it('can become fewer where there are too many: whoever deletes is not refused', async () => {
    const device = await deviceWith('x'.repeat(2_500));
    device.text.delete(0, 1_000);
    expect(codesOf(await device.push([], SMALL))).toEqual(['applied']);
    device.text.insert(0, 'short');
    expect(codesOf(await device.push([], SMALL))).toEqual(['applied']);
    expect(await textOf(device)).toBe(`short${'x'.repeat(1_500)}`);
  });

  it('count once, however often a device sends the whole of it', async () => {
    const device = await deviceWith('y'.repeat(1_800));
    device.text.insert(0, 'new ');
    device.drop();
    const whole = device.merge(Y.encodeStateAsUpdate(device.doc));
    expect(codesOf(await device.push([whole], SMALL))).toEqual(['applied']);
    expect(await textOf(device)).toBe(`new ${'y'.repeat(1_800)}`);
  });

  it('are those that it has when all is merged: deleting every second letter makes it many times as large', async () => {
    const random = new SeededRandom(1);
    const device = await deviceWith(Array.from({ length: 1_000 }, () => random.pick(['a', 'b'])).join(''));
    device.doc.transact(() => {
      for (let at = 0; at < 500; at += 1) device.text.delete(at, 1);
    });
    expect(codesOf(await device.push([], SMALL))).toEqual(['document_too_large']);
    device.text.insert(0, 'behind it');
    expect(codesOf(await device.push([], SMALL))).toEqual(['applied']);
    expect((await textOf(device)).replace('behind it', '')).toMatch(/^[ab]{1000}$/);
  });
});
