import { randomUUID } from 'node:crypto';
import { type DriverDevice, changeOnServer } from '@sync/e2e-device';
import type { ConflictRecord, Outcome, RemoteDelta } from '@sync/protocol';
import * as Y from 'yjs';
import { type Bound, anotherDevice, boundUser, entityOf, fresh, platform, pullUntil } from './platform.ts';

/** A learner of a course with two devices, and a document of the course that the server wrote. */
export interface SharedDocument extends Bound {
  readonly other: DriverDevice;
  readonly course: string;
  readonly entityId: string;
}

/** Enrols a learner in a course, or says how their enrolment stands now. @returns the course */
export async function enroll(
  { tenantId, userId }: Pick<Bound, 'tenantId' | 'userId'>,
  courseId = fresh('c'),
  status = 'active',
): Promise<string> {
  const enrollment = { userId, courseId, status, enrolledAt: '2026-01-01T00:00:00.000Z' };
  const entityId = `e-${courseId}-${userId}`;
  await changeOnServer(platform().learning, tenantId, 'enrollment', entityId, enrollment);
  return courseId;
}

export async function sharedDocument(text: string): Promise<SharedDocument> {
  const user = await boundUser();
  const { tenantId, device } = user;
  const courseId = await enroll(user);
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
export function documentOn(device: DriverDevice, { course, entityId }: SharedDocument): Y.Doc {
  const doc = new Y.Doc();
  const { update } = entityOf(device, course, 'document', entityId) ?? {};
  if (update !== undefined) Y.applyUpdate(doc, Buffer.from(update, 'base64'));
  return doc;
}

export function textOf(updates: readonly string[]): string {
  const doc = new Y.Doc();
  for (const update of updates) Y.applyUpdate(doc, Buffer.from(update, 'base64'));
  return doc.getText('body').toJSON();
}

export const textOn = (device: DriverDevice, shared: SharedDocument): string =>
  documentOn(device, shared).getText('body').toJSON();

/** Every delta of the document that the device has pulled. */
export const deltasOf = (
  device: DriverDevice,
  { course, entityId }: SharedDocument,
): readonly RemoteDelta[] => device.replica(course).log.filter((delta) => delta.entityId === entityId);

export function writeUpdate(
  device: DriverDevice,
  { course, entityId }: SharedDocument,
  update: Uint8Array,
): void {
  const change = { scope: course, entityType: 'document', entityId, op: 'merge' } as const;
  device.write({ ...change, update: Buffer.from(update).toString('base64') });
}

/** Puts one edit of the text into the device's outbox. */
export function edit(device: DriverDevice, shared: SharedDocument, change: (text: Y.Text) => void): void {
  const doc = documentOn(device, shared);
  const before = Y.encodeStateVector(doc);
  change(doc.getText('body'));
  writeUpdate(device, shared, Y.encodeStateAsUpdate(doc, before));
}

/** What a device typed into a new document, as one update. */
export function typed(text: string, clientId?: number): Uint8Array {
  const doc = new Y.Doc();
  if (clientId !== undefined) doc.clientID = clientId;
  doc.getText('body').insert(0, text);
  return Y.encodeStateAsUpdate(doc);
}

/** The record that keeps what was refused. */
export async function recordOf(
  device: DriverDevice,
  { scope }: Pick<Bound, 'scope'>,
  outcome: Outcome | undefined,
): Promise<ConflictRecord> {
  const conflictId = outcome?.conflictId ?? 'no record';
  const found = (): RemoteDelta | undefined => entityOf(device, scope, 'conflict', conflictId);
  await pullUntil(device, () => found() !== undefined);
  return found()?.data as unknown as ConflictRecord;
}

/** What a person wrote, from the bytes of an update alone. */
export function wordsOf(update: string | null): string {
  const { structs } = Y.decodeUpdate(Buffer.from(update ?? '', 'base64'));
  return structs.map((one) => ('content' in one ? one.content.getContent().join('') : '')).join('');
}
