import { setTimeout as sleep } from 'node:timers/promises';
import { type DriverDevice, changeOnServer } from '@sync/e2e-device';
import type { ConflictRecord, Outcome, PullResponse } from '@sync/protocol';
import * as Y from 'yjs';
import { anotherDevice, boundUser, entityOf, platform, pullUntil, rawPull } from './kit/platform.ts';
import {
  deltasOf,
  documentOn,
  edit,
  enroll,
  recordOf,
  sharedDocument,
  textOf,
  textOn,
  typed,
  wordsOf,
  writeUpdate,
} from './kit/course-document.ts';

const replaceAt =
  (at: number, length: number, words: string) =>
  (text: Y.Text): void => {
    text.delete(at, length);
    text.insert(at, words);
  };

const first = (outcomes: readonly Outcome[]): Outcome | undefined => outcomes[0];

describe('documents', () => {
  it('merge what two devices wrote without each other', async () => {
    const shared = await sharedDocument('one\ntwo\n');
    const { device, other } = shared;
    edit(device, shared, (text) => text.insert(3, '!'));
    edit(other, shared, (text) => text.insert(7, '?'));
    expect(first(await device.push())).toMatchObject({ status: 'applied' });
    const merged = first(await other.push());
    expect(merged).toMatchObject({ status: 'merged' });
    expect(merged).not.toHaveProperty('conflictId');
    // What the document holds comes by pulls alone.
    expect(merged?.current).toMatchObject({ data: { title: 'Dosage' } });
    expect(Object.keys(merged?.current ?? {})).not.toContain('update');
    await pullUntil(device, () => textOn(device, shared) === 'one!\ntwo?\n');
    expect(textOn(device, shared)).toBe('one!\ntwo?\n');
  });

  it('come to a device that follows as what was added, and are the same on one that starts anew', async () => {
    const shared = await sharedDocument('A page of words that nobody needs twice.\n'.repeat(100));
    const { device, other, course, entityId } = shared;
    for (let word = 0; word < 6; word += 1) {
      const writer = word % 2 === 0 ? device : other;
      edit(writer, shared, (text) => text.insert(word * 40, `w${word} `));
      edit(writer, shared, (text) => text.delete(word * 40 + 20, 3));
      await writer.push();
      const changes = 1 + 2 * (word + 1);
      for (const one of [device, other]) await pullUntil(one, () => deltasOf(one, shared).length === changes);
    }
    const late = await anotherDevice(shared);
    await pullUntil(late, () => textOn(late, shared) === textOn(device, shared));
    const increments = deltasOf(other, shared).slice(1);
    expect(increments.map(({ op, update = '' }) => [op, update.length < 100])).toEqual(
      Array.from({ length: 12 }, () => ['merge', true]),
    );
    const copies = [device, other, late].map((one) => {
      const { clock } = entityOf(one, course, 'document', entityId) ?? {};
      const { digest, serverDigest } = one.replica(course);
      const vector = Buffer.from(Y.encodeStateVector(documentOn(one, shared))).toString('hex');
      return { text: textOn(one, shared), vector, clock, digest, serverDigest };
    });
    expect(copies[1]).toEqual(copies[0]);
    expect(copies[2]).toEqual(copies[0]);
    expect(copies[0]?.digest).toEqual(copies[0]?.serverDigest);
  });

  it('are the same in pages of any size, and when the first page was lost', async () => {
    const shared = await sharedDocument('start');
    const { device, other, course, entityId } = shared;
    for (const word of [' a', ' b', ' c', ' d']) {
      edit(device, shared, (text) => text.insert(text.length, word));
      await device.push();
      await pullUntil(device, () => textOn(device, shared).endsWith(word));
    }
    for (const limit of [1, 2, 500]) {
      const updates: string[] = [];
      await rawPull(other, course, null, limit);
      for (let cursor: string | null = null, hasMore = true; hasMore;) {
        const page = await rawPull(other, course, cursor, limit);
        for (const delta of page.deltas) {
          if (delta.entityId === entityId) updates.push(delta.update ?? '');
        }
        ({ cursor, hasMore } = page);
      }
      expect(textOf(updates)).toBe('start a b c d');
    }
  });

  it('are put together when they are many, and a device that was in the middle misses nothing', async () => {
    const shared = await sharedDocument('start');
    const { device, other, course, entityId } = shared;
    const doc = documentOn(device, shared);
    const type = (count: number): void => {
      for (let at = 0; at < count; at += 1) {
        const before = Y.encodeStateVector(doc);
        doc.getText('body').insert(at, String(at % 10));
        writeUpdate(device, shared, Y.encodeStateAsUpdate(doc, before));
      }
    };
    type(30);
    await device.push();
    await pullUntil(other, () => textOn(other, shared).length === 35);
    type(50);
    await device.push();
    const words = doc.getText('body').toJSON();
    const deadlineMs = Date.now() + 15_000;
    for (let text = '', count = 0; text !== words || count > 64;) {
      if (Date.now() > deadlineMs) throw new Error(`still ${count} deltas`);
      const { deltas } = await rawPull(await anotherDevice(shared), course, null);
      const updates = deltas.flatMap((delta) => (delta.entityId === entityId ? (delta.update ?? []) : []));
      [text, count] = [textOf(updates), updates.length];
      await sleep(100);
    }
    await pullUntil(other, () => textOn(other, shared) === words);
    const late = await anotherDevice(shared);
    await pullUntil(late, () => textOn(late, shared) === words);
    expect([other, late].map((one) => one.replica(course).digest)).toEqual(
      [other, late].map((one) => one.replica(course).serverDigest),
    );
  });

  it('send a device that starts anew what it lacks of a document that it says it holds', async () => {
    const shared = await sharedDocument('A page of words that nobody needs twice.\n'.repeat(100));
    const { device, other, course, entityId } = shared;
    const copy = documentOn(other, shared);
    edit(device, shared, (text) => text.insert(10, 'NEW '));
    edit(device, shared, (text) => text.delete(100, 50));
    await device.push();
    await pullUntil(device, () => deltasOf(device, shared).length === 3);
    const stateVector = Buffer.from(Y.encodeStateVector(copy)).toString('base64');
    const held = { entityType: 'document', entityId, epoch: 1, stateVector };
    const pull = async (documents: readonly object[]): Promise<string[]> => {
      const scopes = [{ scope: course, cursor: null, documents }];
      const { scopes: pages } = await other.call<PullResponse>('/sync/v1/pull', { scopes });
      const deltas = pages[0]?.deltas.filter((delta) => delta.entityId === entityId) ?? [];
      return deltas.flatMap((delta) => delta.update ?? []);
    };
    const [whole = '', ...increments] = await pull([]);
    const [difference = '', ...same] = await pull([held]);
    expect(same).toEqual(increments);
    expect([whole.length > 4_000, difference.length < 100]).toEqual([true, true]);
    for (const update of [difference, ...same]) Y.applyUpdate(copy, Buffer.from(update, 'base64'));
    expect(copy.getText('body').toJSON()).toBe(textOf([whole, ...increments]));
    expect((await pull([{ ...held, epoch: 2 }]))[0]).toBe(whole);
  });

  it('are named in a pull once each, with a state vector, and at most 100 of them', async () => {
    const { device, scope } = await boundUser();
    const held = { entityType: 'document', entityId: 'd1', epoch: 1, stateVector: 'AA==' };
    const many = Array.from({ length: 60 }, (_unused, at) => ({ ...held, entityId: `d${at}` }));
    const answer = async (...lists: readonly unknown[]): Promise<unknown> => {
      const scopes = lists.map((documents, at) => ({ scope: at === 0 ? scope : `course:${at}`, documents }));
      const { status, body } = await device.send<{ code?: string; errors?: { path: string }[] }>(
        '/sync/v1/pull',
        { scopes },
      );
      return [status, body.code, body.errors?.[0]?.path];
    };
    const invalid = [400, 'schema_invalid'];
    expect(await answer(many)).toEqual([200, undefined, undefined]);
    expect(await answer([held, held])).toEqual([...invalid, '/scopes/0/documents/1']);
    const stateVector = Buffer.from([9, 1]).toString('base64');
    expect(await answer([held], [{ ...held, stateVector }])).toEqual([
      ...invalid,
      '/scopes/1/documents/0/stateVector',
    ]);
    expect(await answer([{ ...held, epoch: -1 }])).toEqual([...invalid, '/scopes/0/documents/0/epoch']);
    expect((await answer(many, many)) as unknown[]).toContain('limit_exceeded');
    expect((await answer([...many, ...many])) as unknown[]).toContain('limit_exceeded');
  });

  it('go whole into a course that they move to, and on from there', async () => {
    const shared = await sharedDocument('text');
    const { device, tenantId, entityId, course } = shared;
    edit(device, shared, (text) => text.insert(4, ' of one'));
    await device.push();
    const courseId = await enroll(shared);
    await changeOnServer(platform().authoring, tenantId, 'document', entityId, { courseId, title: 'Moved' });
    const moved = { ...shared, course: `course:${courseId}` };
    await pullUntil(device, () => textOn(device, moved) === 'text of one');
    // The two courses are two scopes: what leaves the one may be seen a moment after it came to the other.
    await pullUntil(device, () => entityOf(device, course, 'document', entityId) === undefined);
    edit(device, moved, (text) => text.insert(0, 'The '));
    await device.push();
    await pullUntil(shared.other, () => textOn(shared.other, moved) === 'The text of one');
    expect(textOn(shared.other, moved)).toBe('The text of one');
  });

  it('come whole when they were replaced, and nothing of the old one is left', async () => {
    const shared = await sharedDocument('old');
    const { device, other, tenantId, entityId, course } = shared;
    edit(device, shared, (text) => text.insert(3, ' words'));
    await device.push();
    const data = { courseId: course.slice('course:'.length), title: 'New', text: 'new', replace: true };
    await changeOnServer(platform().authoring, tenantId, 'document', entityId, data);
    await pullUntil(device, () => textOn(device, shared) === 'new');
    edit(device, shared, (text) => text.insert(3, ' words'));
    await device.push();
    const late = await anotherDevice(shared);
    for (const one of [other, late]) await pullUntil(one, () => textOn(one, shared) === 'new words');
    expect(entityOf(late, course, 'document', entityId)?.data).toMatchObject({ epoch: 2 });
  });

  it('never let 5 mg become 1020 mg unnoticed: both devices pull the open conflict', async () => {
    const shared = await sharedDocument('Aspirin\n5 mg daily\n');
    const { device, other, scope } = shared;
    edit(device, shared, replaceAt(8, 1, '10'));
    edit(other, shared, replaceAt(8, 1, '20'));
    await device.push();
    const outcome = first(await other.push());
    expect(outcome).toMatchObject({ status: 'merged', conflictId: expect.any(String) as string });
    const { conflictId = '' } = outcome ?? {};
    for (const one of [device, other]) {
      await pullUntil(one, () => entityOf(one, scope, 'conflict', conflictId) !== undefined);
      const record = entityOf(one, scope, 'conflict', conflictId)?.data as unknown as ConflictRecord;
      expect(record).toMatchObject({
        status: 'open',
        policy: 'crdt_yjs',
        fields: [{ field: 'body:2', ours: '10 mg daily\n', theirs: '20 mg daily\n', winner: 'open' }],
      });
    }
  });

  it('have their conflict resolved by an update of a person, like any edit', async () => {
    const shared = await sharedDocument('5 mg daily\n');
    const { device, other, scope, course, entityId } = shared;
    edit(device, shared, replaceAt(0, 1, '10'));
    edit(other, shared, replaceAt(0, 1, '20'));
    await device.push();
    const { conflictId = '' } = first(await other.push()) ?? {};
    await pullUntil(device, () => entityOf(device, scope, 'conflict', conflictId) !== undefined);
    await pullUntil(device, () => textOn(device, shared).length === '1020 mg daily\n'.length);
    const doc = documentOn(device, shared);
    const before = Y.encodeStateVector(doc);
    replaceAt(0, 4, '15')(doc.getText('body'));
    const update = Buffer.from(Y.encodeStateAsUpdate(doc, before)).toString('base64');
    const expectedClock = entityOf(device, course, 'document', entityId)?.clock;
    const body = { conflictId, resolution: { kind: 'merged', update }, expectedClock };
    const answer = await device.send<{ conflict?: ConflictRecord }>('/sync/v1/resolve-conflict', body);
    expect({ status: answer.status, conflict: answer.body.conflict?.status }).toEqual({
      status: 200,
      conflict: 'resolved',
    });
    await pullUntil(other, () => textOn(other, shared) === '15 mg daily\n');
    expect(textOn(other, shared)).toBe('15 mg daily\n');
  });

  it('take what many offline sessions of a device wrote, as one update', async () => {
    const shared = await sharedDocument('');
    const { device, other } = shared;
    const sessions = Array.from({ length: 40 }, (_unused, at) => typed(`session ${at}\n`));
    writeUpdate(device, shared, Y.mergeUpdates(sessions));
    expect(first(await device.push())).toMatchObject({ status: 'applied' });
    await pullUntil(other, () => textOn(other, shared).split('\n').length === 41);
    expect(textOn(other, shared)).toContain('session 39\n');
  });

  it('take a paste of 390,000 letters; of a longer one the answer says how it gets in', async () => {
    const [shared, longer] = [await sharedDocument(''), await sharedDocument('')];
    writeUpdate(shared.device, shared, typed('x'.repeat(390_000)));
    expect(first(await shared.device.push())).toMatchObject({ status: 'applied' });
    await pullUntil(shared.other, () => textOn(shared.other, shared).length === 390_000);
    const { device, other } = longer;
    writeUpdate(device, longer, typed('y'.repeat(400_000)));
    expect(first(await device.push())).toMatchObject({
      status: 'rejected',
      code: 'update_too_large',
      message: expect.stringContaining('in parts') as string,
    });
    const session = new Y.Doc();
    for (let part = 0; part < 4; part += 1) {
      const before = Y.encodeStateVector(session);
      session.getText('body').insert(part * 100_000, 'y'.repeat(100_000));
      writeUpdate(device, longer, Y.encodeStateAsUpdate(session, before));
    }
    expect((await device.push()).map(({ status }) => status)).toEqual(Array(4).fill('applied'));
    await pullUntil(other, () => textOn(other, longer).length === 400_000);
  });

  it('refuse the second of two devices of a user with one clientID, and lose nothing of either', async () => {
    const shared = await sharedDocument('Notes: ');
    const { device, other } = shared;
    const sessionOf = (one: DriverDevice): Y.Doc => {
      const doc = documentOn(one, shared);
      doc.clientID = 1_234_567;
      return doc;
    };
    const type = (one: DriverDevice, doc: Y.Doc, words: string): void => {
      const before = Y.encodeStateVector(doc);
      doc.getText('body').insert(doc.getText('body').length, words);
      writeUpdate(one, shared, Y.encodeStateAsUpdate(doc, before));
    };
    const [phone, tablet] = [sessionOf(device), sessionOf(other)];
    type(device, phone, 'from the phone');
    // Other words at the same clocks; then some that begin exactly where the phone's end.
    type(other, tablet, 'of the tablet');
    type(other, tablet, '!');
    type(other, tablet, ' and more');
    expect(await device.push()).toMatchObject([{ status: 'applied' }]);
    const refused = await other.push();
    expect(refused).toMatchObject(Array(3).fill({ status: 'rejected', code: 'client_id_foreign' }));
    const records = await Promise.all(refused.map((outcome) => recordOf(other, shared, outcome)));
    const words = records.map(({ theirsUpdate }) => wordsOf(theirsUpdate));
    expect(words).toEqual(['of the tablet', '!', ' and more']);
    // A session of its own, which begins with what the server has, and sends all that it has.
    await pullUntil(other, () => textOn(other, shared) === 'Notes: from the phone');
    const session = documentOn(other, shared);
    session.getText('body').insert('Notes: from the phone'.length, `, ${words.join('')}`);
    writeUpdate(other, shared, Y.encodeStateAsUpdate(session));
    expect(first(await other.push())).toMatchObject({ status: 'applied' });
    // The phone, which was there first, goes on under its clientID.
    type(device, phone, '.');
    expect(first(await device.push())?.status).toMatch(/applied|merged/);
    const all = ['from the phone', 'of the tablet! and more', '.'];
    for (const one of [device, other]) {
      await pullUntil(one, () => all.every((part) => textOn(one, shared).includes(part)));
    }
    expect(textOn(device, shared)).toBe(textOn(other, shared));
  });

  it('keep every refused update in a record, and what its session wrote after it too', async () => {
    const shared = await sharedDocument('text');
    const { device } = shared;
    const session = documentOn(device, shared);
    const write = (edit: () => void): void => {
      const before = Y.encodeStateVector(session);
      edit();
      writeUpdate(device, shared, Y.encodeStateAsUpdate(session, before));
    };
    const body = session.getText('body');
    write(() => body.insertEmbed(4, JSON.parse('{"__proto__":1,"text":"words in an embed"}') as object));
    expect(await device.push()).toMatchObject([{ code: 'content_not_allowed' }]);
    write(() => body.insert(5, ' written after it'));
    writeUpdate(device, shared, Y.encodeStateAsUpdateV2(session));
    const outcomes = await device.push();
    expect(outcomes).toMatchObject([{ code: 'update_incomplete' }, { code: 'update_invalid' }]);
    const [after, v2] = await Promise.all(outcomes.map((outcome) => recordOf(device, shared, outcome)));
    expect(wordsOf(after?.theirsUpdate ?? null)).toBe(' written after it');
    expect(v2).toMatchObject({
      status: 'auto_resolved',
      op: 'merge',
      theirsUpdate: expect.any(String) as string,
    });
    expect(textOn(device, shared)).toBe('text');
  });

  it('refuse hostile updates with a code, and stay as they were', async () => {
    const shared = await sharedDocument('nobody may touch this');
    const { device } = shared;
    const gcOfLength2To40 = Uint8Array.of(1, 1, 7, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 0);
    const v2 = Y.encodeStateAsUpdateV2(documentOn(device, shared));
    const later = new Y.Doc();
    later.getText('body').insert(0, 'a');
    const missing = Y.encodeStateVector(later);
    later.getText('body').insert(1, 'b');
    const gap = Y.encodeStateAsUpdate(later, missing);
    const codes: (string | undefined)[] = [];
    for (const update of [gcOfLength2To40, v2, gap, Uint8Array.of(255, 255, 255)]) {
      writeUpdate(device, shared, update);
      codes.push(first(await device.push())?.code);
    }
    expect(codes).toEqual(['clock_jump', 'update_invalid', 'update_incomplete', 'update_invalid']);
    expect(textOn(device, shared)).toBe('nobody may touch this');
    edit(device, shared, (text) => text.insert(0, 'x'));
    expect(first(await device.push())?.status).toMatch(/applied|merged/);
  });
});
