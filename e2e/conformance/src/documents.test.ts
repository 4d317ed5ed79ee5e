import { randomUUID } from 'node:crypto';
import { type DriverDevice, changeOnServer } from '@sync/e2e-device';
import type { ConflictRecord, Outcome } from '@sync/protocol';
import * as Y from 'yjs';
import {
  type Bound,
  anotherDevice,
  boundUser,
  entityOf,
  fresh,
  platform,
  pullUntil,
} from './kit/platform.ts';

/** A learner of a course with two devices, and a document of the course that the server wrote. */
interface SharedDocument extends Bound {
  readonly other: DriverDevice;
  readonly course: string;
  readonly entityId: string;
}

async function sharedDocument(text: string): Promise<SharedDocument> {
  const user = await boundUser();
  const { tenantId, userId, device } = user;
  const courseId = fresh('c');
  const enrollment = { userId, courseId, status: 'active', enrolledAt: '2026-01-01T00:00:00.000Z' };
  await changeOnServer(platform().learning, tenantId, 'enrollment', fresh('e'), enrollment);
  const entityId = randomUUID();
  const data = { courseId, title: 'Dosage', text };
  await changeOnServer(platform().authoring, tenantId, 'document', entityId, data);
  const other = await anotherDevice(user);
  const shared = { ...user, other, course: `course:${courseId}`, entityId };
  for (const one of [device, other]) {
    await pullUntil(one, () => entityOf(one, shared.course, 'document', entityId) !== undefined);
  }
  return shared;
}

/** The document as a device has pulled it. */
function documentOn(device: DriverDevice, { course, entityId }: SharedDocument): Y.Doc {
  const doc = new Y.Doc();
  const { update } = entityOf(device, course, 'document', entityId) ?? {};
  Y.applyUpdate(doc, Buffer.from(update ?? '', 'base64'));
  return doc;
}

const textOn = (device: DriverDevice, shared: SharedDocument): string =>
  documentOn(device, shared).getText('body').toJSON();

function writeUpdate(device: DriverDevice, { course, entityId }: SharedDocument, update: Uint8Array): void {
  const change = { scope: course, entityType: 'document', entityId, op: 'merge' } as const;
  device.write({ ...change, update: Buffer.from(update).toString('base64') });
}

/** Puts one edit of the text into the device's outbox. */
function edit(device: DriverDevice, shared: SharedDocument, change: (text: Y.Text) => void): void {
  const doc = documentOn(device, shared);
  const before = Y.encodeStateVector(doc);
  change(doc.getText('body'));
  writeUpdate(device, shared, Y.encodeStateAsUpdate(doc, before));
}

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
    await pullUntil(device, () => textOn(device, shared) === 'one!\ntwo?\n');
    expect(textOn(device, shared)).toBe('one!\ntwo?\n');
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
