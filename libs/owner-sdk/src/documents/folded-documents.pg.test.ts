/**
 * A document that more devices have written than a clock has entries: what was folded away is still known to
 * who had seen it.
 */
import { randomUUID } from 'node:crypto';
import type { OwnerPushResult, PushedMutation } from '@sync/protocol';
import { counterOf } from '@sync/vector-clock';
import { PageDevice } from './testing/page-device.ts';
import { PageRig, codesOf, updateOf } from './testing/page-rig.ts';

let rig: PageRig;
beforeAll(async () => {
  rig = await PageRig.start('folded_documents');
});
afterAll(() => rig.stop());

/** A page that a device has made, written by two more, and by as many others as make its clock full. */
async function crowdedPage(): Promise<{ entityId: string; early: PageDevice; late: PageDevice }> {
  const entityId = randomUUID();
  const created: PushedMutation = {
    ...new PageDevice(rig, entityId, 'maker').merge(new Uint8Array()),
    op: 'put',
    data: { title: 'Dose', body: updateOf('Take 5 mg.\n', 2 ** 32 + 5) },
  };
  expect(codesOf(await rig.push([created]))).toEqual(['applied']);
  const late = await new PageDevice(rig, entityId, 'late').pull();
  for (const word of ['a', 'b', 'c']) late.text.insert(late.text.length, word);
  await late.push();
  const crowd = Object.fromEntries(Array.from({ length: 252 }, (_, index) => [`d:gone-${index}`, 1]));
  await rig.rows('UPDATE sync_entity SET clock = clock || $2::jsonb WHERE entity_id = $1', [
    entityId,
    JSON.stringify(crowd),
  ]);
  const early = await new PageDevice(rig, entityId, 'early').pull();
  return { entityId, early, late };
}

const overlapsOf = (results: readonly OwnerPushResult[]): unknown => {
  const last = results.at(-1);
  return last?.status === 'applied' ? last.overlaps : last;
};

const SAME_NUMBER = { grade: 'severe', compared: true, overlaps: [{ kind: 'same_number' }] };

describe('a document whose clock was folded', () => {
  it('takes what was written on its state before, and compares it with what came since alone', async () => {
    const { entityId, early } = await crowdedPage();
    early.replace('5', '10');
    const folding = await new PageDevice(rig, entityId, 'folding').pull();
    folding.replace('5', '20');
    expect(codesOf(await folding.push())).toEqual(['applied', 'applied']);
    const { clock } = await rig.pageNow(entityId);
    expect(Object.keys(clock).sort()).toEqual(['d:folding', 's:folded']);
    const results = await early.push();
    expect(codesOf(results)).toEqual(['applied', 'applied']);
    expect(overlapsOf(results)).toMatchObject(SAME_NUMBER);
    await early.pull();
    early.text.insert(0, 'x');
    expect(overlapsOf(await early.push())).toBeUndefined();
  });

  it('knows a change whose device began to count anew from those that it counted before', async () => {
    const { entityId } = await crowdedPage();
    const folding = await new PageDevice(rig, entityId, 'folding').pull();
    folding.text.insert(0, 'x');
    await folding.push();
    // It has the three changes of `late` from before the fold in its clock, and goes on with that.
    await folding.pull();
    folding.replace('5', '20');
    const again = await new PageDevice(rig, entityId, 'late').pull();
    again.replace('5', '10');
    const before = counterOf((await rig.pageNow(entityId)).clock, 's:folded');
    expect(codesOf(await again.push())).toEqual(['applied', 'applied']);
    expect((await rig.pageNow(entityId)).clock).toMatchObject({ 'd:late': 2, 's:folded': before + 2 });
    expect(overlapsOf(await folding.push())).toMatchObject(SAME_NUMBER);
  });

  it('begins anew by a change that only who has seen it has seen', async () => {
    const { entityId, early } = await crowdedPage();
    const folding = await new PageDevice(rig, entityId, 'folding').pull();
    folding.text.insert(0, 'x');
    await folding.push();
    const copy = await new PageDevice(rig, entityId, 'copy').pull();
    await rig.change(entityId, { title: 'New', body: updateOf('new', 2 ** 32 + 6), epoch: 2 });
    for (const device of [early, copy]) {
      device.text.insert(0, 'y');
      expect(codesOf(await device.push())).toEqual(['document_replaced']);
    }
    const knowing = await new PageDevice(rig, entityId, 'knowing').pull();
    knowing.text.insert(0, 'z');
    expect(codesOf(await knowing.push())).toEqual(['applied']);
  });
});
