import { stateHash } from '@sync/documents/node';
import { SeededRandom, hostileUpdate, hostileWorld } from '@sync/documents/testing';
import * as Y from 'yjs';
import { DocumentHistoryError } from './index.ts';
import { PageDevice } from './testing/page-device.ts';
import { PageRig, codesOf, updateOf } from './testing/page-rig.ts';

let rig: PageRig;
beforeAll(async () => {
  rig = await PageRig.start('documents');
});
afterAll(() => rig.stop());

async function twoDevices(text: string): Promise<[string, PageDevice, PageDevice]> {
  const entityId = await rig.seededPage(text);
  const device = (name: string): Promise<PageDevice> => new PageDevice(rig, entityId, name).pull();
  return [entityId, await device('d1'), await device('d2')];
}

describe('a kept document', () => {
  it('tells of numbers that both changed, merges all the same, and keeps a pointer to what was before', async () => {
    const [entityId, first, second] = await twoDevices('Take 5 mg.\n');
    first.replace('5', '10');
    second.replace('5', '20');
    expect((await first.push()).every((result) => !('overlaps' in result))).toBe(true);
    const before = await rig.pageNow(entityId);
    const results = await second.push();
    expect(codesOf(results)).toEqual(['applied', 'applied']);
    expect(results.at(-1)).toMatchObject({
      overlaps: {
        grade: 'severe',
        compared: true,
        overlaps: [
          {
            kind: 'same_number',
            ours: 'Take 10 mg.\n',
            theirs: 'Take 20 mg.\n',
            block: { path: 'body', line: 1 },
          },
        ],
      },
    });
    expect((await rig.pageNow(entityId)).text).toMatch(/^Take (1020|2010) mg\.\n$/);
    const backups = await rig.rows<{ sequence: string; state_hash: string }>(
      'SELECT sequence, state_hash FROM sync_document_backup WHERE entity_id = $1',
      [entityId],
    );
    expect(backups).toEqual([{ sequence: '3', state_hash: stateHash(Buffer.from(before.body, 'base64')) }]);
  });

  it('says nothing of edits in other lines, of chained edits of one device, or of a repetition', async () => {
    const [, first, second] = await twoDevices('one 1\ntwo 2\n');
    first.replace('1', '11');
    second.replace('2', '22');
    await first.push();
    const mutations = await second.push();
    expect(mutations.at(-1)).toMatchObject({ overlaps: { grade: 'none', overlaps: [] } });
    await second.pull();
    second.replace('22', '3');
    second.replace('3', '4');
    expect((await second.push()).every((result) => result.status === 'applied' && !result.overlaps)).toBe(
      true,
    );
  });

  it('shows the whole document when it begins, and then what each change added', async () => {
    const [entityId, device] = await twoDevices('start');
    for (const word of [' a', ' b', ' c']) device.text.insert(device.text.length, word);
    await device.push();
    const doc = new Y.Doc();
    doc.clientID = 2 ** 32 + 9;
    Y.applyUpdate(doc, Buffer.from((await rig.pageNow(entityId)).body, 'base64'));
    doc.getText('body').insert('start a b c'.length, ' server');
    await rig.change(entityId, {
      title: 'Renamed',
      body: Buffer.from(Y.encodeStateAsUpdate(doc)).toString('base64'),
    });
    await rig.change(entityId, { title: 'Again', body: '' });
    await rig.change(entityId, { title: 'Replaced', body: updateOf('new', 2 ** 32 + 2), epoch: 2 });
    const events = await rig.eventsOf(entityId);
    expect(events.map(({ revision, docstate = 'whole' }) => [revision, docstate])).toEqual([
      [1, 'whole'],
      ...[2, 3, 4, 5, 6].map((revision) => [revision, 'increment']),
      [7, 'whole'],
    ]);
    const bodies = events.map(({ data }) => Buffer.from(String(data?.['body']), 'base64'));
    expect([(bodies[4]?.length ?? 0) < 40, bodies[5]]).toEqual([true, Buffer.from([0, 0])]);
    const copy = new Y.Doc();
    for (const update of bodies.slice(0, 6)) Y.applyUpdate(copy, update);
    expect(copy.getText('body').toJSON()).toBe('start a b c server');
  });

  it('refuses what is hostile, one by one, and stays what it was', async () => {
    const [entityId, honest, hostile] = await twoDevices('nobody may touch this');
    honest.text.insert(0, 'Mine: ');
    await honest.push();
    const before = await rig.pageNow(entityId);
    const impersonation = new Y.Doc();
    Y.applyUpdate(impersonation, Buffer.from(before.body, 'base64'));
    impersonation.clientID = honest.doc.clientID;
    const known = Y.encodeStateVector(impersonation);
    impersonation.getText('body').insert(0, 'not mine');
    const forged = hostile.merge(Y.encodeStateAsUpdate(impersonation, known));
    expect(codesOf(await hostile.push([forged]))).toEqual(['client_id_foreign']);
    const world = hostileWorld(7);
    const random = new SeededRandom(7);
    for (let sent = 0; sent < 60; sent += 1) {
      const { update } = hostileUpdate(world, random);
      const [result] = await hostile.push([hostile.merge(update)]);
      expect(result?.status).not.toBe('conflict');
    }
    const after = await rig.pageNow(entityId);
    // What the hostile device writes in its own name may stand between the two, by the order of clientIDs; it
    // takes nothing away.
    expect(after.text).toMatch(/Mine: .*nobody may touch this/s);
  });

  it('goes back to any point as a change that everybody can merge', async () => {
    const [entityId, first, second] = await twoDevices('Take 5 mg.\n');
    first.replace('5', '10');
    second.replace('5', '20');
    await first.push();
    await second.push();
    const [point] = await rig.rows<{ epoch: number; sequence: string; state_hash: string }>(
      'SELECT epoch, sequence, state_hash FROM sync_document_backup WHERE entity_id = $1',
      [entityId],
    );
    if (!point) throw new Error('there is no backup');
    const to = { epoch: point.epoch, sequence: Number(point.sequence), stateHash: point.state_hash };
    const body = await rig.restoreChange(entityId, to);
    await rig.change(entityId, { title: 'Page', body });
    expect((await rig.pageNow(entityId)).text).toBe('Take 10 mg.\n');
    second.text.insert(second.text.length, 'More.\n');
    expect(codesOf(await second.push())).toEqual(['applied']);
    expect((await rig.pageNow(entityId)).text).toBe('Take 10 mg.\nMore.\n');
    const wrong = rig.restoreChange(entityId, { ...to, stateHash: 'other' });
    await expect(wrong).rejects.toThrow(DocumentHistoryError);
    const early = rig.restoreChange(entityId, { epoch: 1, sequence: 0 });
    await expect(early).rejects.toThrow(DocumentHistoryError);
  });

  it('begins a new epoch when it is replaced or made again, and takes nothing that was written to the old one', async () => {
    const [entityId, device] = await twoDevices('old');
    device.text.insert(3, ' words');
    await rig.change(entityId, { title: 'Page', body: updateOf('new', 2 ** 32 + 2), epoch: 2 });
    expect(await rig.pageNow(entityId)).toMatchObject({ text: 'new', epoch: 2 });
    expect(codesOf(await device.push())).toEqual(['document_replaced']);
    expect(await rig.pageNow(entityId)).toMatchObject({ text: 'new', epoch: 2 });
    await rig.change(entityId, null);
    const lost = rig.restoreChange(entityId, { epoch: 2, sequence: 1 });
    await expect(lost).rejects.toThrow(DocumentHistoryError);
    await rig.change(entityId, { title: 'Page', body: updateOf('third', 2 ** 32 + 3) });
    expect(await rig.pageNow(entityId)).toMatchObject({ text: 'third', epoch: 3 });
  });

  it('adds at most a tenth to the log for going back, and forgets what is older than it has to keep', async () => {
    const [entityId, device, away] = await twoDevices('');
    const random = new SeededRandom(1);
    for (let batch = 0; batch < 12; batch += 1) {
      for (let typed = 0; typed < 100; typed += 1) {
        device.text.insert(device.text.length, random.pick(['a', 'word ', '\n']));
      }
      await device.push();
    }
    const [size] = await rig.rows<{ log: number; bases: number; kept: number }>(
      `SELECT (SELECT sum(length(doc_update) + 120) FROM sync_document_update WHERE entity_id = $1)::int4 AS log,
              (SELECT sum(length(state)) FROM sync_document_base WHERE entity_id = $1)::int4 AS bases,
              (SELECT count(*) FROM sync_document_base WHERE entity_id = $1)::int4 AS kept`,
      [entityId],
    );
    expect(size?.kept).toBeGreaterThan(1);
    expect((size?.bases ?? 0) / (size?.log ?? 1)).toBeLessThanOrEqual(0.1);
    await rig.rows(`UPDATE sync_document_base SET at = at - interval '31 d' WHERE entity_id = $1`, [
      entityId,
    ]);
    for (let typed = 0; typed < 400; typed += 1) device.text.insert(0, 'x');
    await device.push();
    const [left] = await rig.rows<{ oldest: string; floor: string }>(
      `SELECT (SELECT min(sequence) FROM sync_document_update WHERE entity_id = $1 AND doc_update <> '') AS oldest,
              (SELECT min(sequence) FROM sync_document_base WHERE entity_id = $1) AS floor`,
      [entityId],
    );
    expect(Number(left?.oldest)).toBe(Number(left?.floor) + 1);
    away.text.insert(0, 'y');
    expect((await away.push()).at(-1)).toMatchObject({ overlaps: { grade: 'severe', compared: false } });
  });
});
