import { randomUUID } from 'node:crypto';
import type { OwnerPushResult, PushedMutation } from '@sync/protocol';
import * as Y from 'yjs';
import { COURSES, courseText } from '../../data/course-texts.ts';
import { type ServiceRig, mutationOf, startServiceRig } from '../../testing/platform-rig.ts';
import { startAuthoring } from '../start-authoring.ts';
import { textOf } from './document-text.ts';

let rig: ServiceRig;
beforeAll(async () => {
  rig = await startServiceRig('authoring', startAuthoring);
});
afterAll(() => rig.stop());

const merge = (given: Partial<PushedMutation>): PushedMutation =>
  mutationOf({ entityType: 'document', op: 'merge', scope: 'course:c1', ...given });
const push = async (mutation: PushedMutation): Promise<OwnerPushResult | undefined> =>
  (await rig.push([mutation]))[0];
const codeOf = (result: OwnerPushResult | undefined): string | undefined =>
  result?.status === 'rejected' ? result.code : result?.status;

async function seed(text: string): Promise<string> {
  const entityId = randomUUID();
  const { status } = await rig.call('POST', `/dev/tenants/acme/entities/document/${entityId}`, {
    data: { courseId: 'c1', title: 'Course', text },
  });
  expect(status).toBe(200);
  return entityId;
}

/** The document that somebody has who took every event: the last whole one with the increments after it. */
async function bodyOf(entityId: string): Promise<string> {
  const events = await rig.eventsOf(entityId);
  const whole = events.findLastIndex(({ docstate }) => docstate !== 'increment');
  const bodies = events.slice(whole).map(({ data }) => Buffer.from(String(data?.['body']), 'base64'));
  return Buffer.from(Y.mergeUpdates(bodies)).toString('base64');
}

/** A device's copy of the document, with what `edit` does to the text as an update of its own. */
async function editOf(entityId: string, edit: (text: Y.Text) => void): Promise<string> {
  const doc = new Y.Doc();
  Y.applyUpdate(doc, Buffer.from(await bodyOf(entityId), 'base64'));
  const before = Y.encodeStateVector(doc);
  edit(doc.getText('body'));
  return Buffer.from(Y.encodeStateAsUpdate(doc, before)).toString('base64');
}

describe('a document', () => {
  it('carries its plain fields and the whole text in its event', async () => {
    const text = courseText(COURSES[0] ?? { courseId: 'c1', title: '', topics: ['x'], pages: 1 }, 1, 5_000);
    const entityId = await seed(text);
    const [event] = await rig.eventsOf(entityId);
    const body = expect.any(String) as string;
    expect(event?.data).toEqual({ courseId: 'c1', title: 'Course', epoch: 1, body });
    expect(textOf(await bodyOf(entityId))).toBe(text);
  });

  it('merges what two devices wrote without each other', async () => {
    const entityId = await seed('middle');
    const first = await editOf(entityId, (text) => text.insert(0, 'start '));
    const second = await editOf(entityId, (text) => text.insert(6, ' end'));
    await rig.push([
      merge({ entityId, update: first, expectedRevision: 1 }),
      merge({ entityId, update: second, expectedRevision: 2, deviceId: 'd2', clock: { 'd:d2': 1 } }),
    ]);
    expect(textOf(await bodyOf(entityId))).toBe('start middle end');
  });

  it('keeps a device’s edit when the server rewrites the text meanwhile', async () => {
    const entityId = await seed('old');
    const update = await editOf(entityId, (text) => text.insert(3, ' kept'));
    const data = { courseId: 'c1', title: 'Renamed', text: 'new' };
    await rig.call('PUT', `/dev/tenants/acme/entities/document/${entityId}`, { data });
    expect(codeOf(await push(merge({ entityId, update, expectedRevision: 2 })))).toBe('applied');
    const text = textOf(await bodyOf(entityId));
    expect([text.includes('new'), text.includes('kept'), text.includes('old')]).toEqual([true, true, false]);
  });

  it('is left alone by a rewrite with the same text, and by one that names none', async () => {
    const entityId = await seed('same');
    const before = await bodyOf(entityId);
    const path = `/dev/tenants/acme/entities/document/${entityId}`;
    await rig.call('PUT', path, { data: { courseId: 'c1', title: 'Course', text: 'same' } });
    await rig.call('PUT', path, { data: { courseId: 'c1', title: 'Course' } });
    expect(await bodyOf(entityId)).toBe(before);
  });

  it('refuses bytes that are no update, that depend on unknown changes, or are too many', async () => {
    const entityId = await seed('text');
    const later = new Y.Doc();
    later.getText('body').insert(0, 'a');
    const missing = Y.encodeStateVector(later);
    later.getText('body').insert(1, 'b');
    const gap = Buffer.from(Y.encodeStateAsUpdate(later, missing)).toString('base64');
    const large = await editOf(entityId, (text) => text.insert(0, 'x'.repeat(400 * 1024)));
    const codes: (string | undefined)[] = [];
    for (const update of ['', '////', gap, large]) {
      codes.push(codeOf(await push(merge({ entityId, update, expectedRevision: 1 }))));
    }
    expect(codes).toEqual(['update_invalid', 'update_invalid', 'update_incomplete', 'update_too_large']);
    expect(textOf(await bodyOf(entityId))).toBe('text');
  });

  it('is replaced by the server as a new epoch, into which nothing of the old one is merged', async () => {
    const entityId = await seed('old');
    const update = await editOf(entityId, (text) => text.insert(3, ' words'));
    const data = { courseId: 'c1', title: 'Course', text: 'new', replace: true };
    await rig.call('PUT', `/dev/tenants/acme/entities/document/${entityId}`, { data });
    expect((await rig.eventsOf(entityId)).at(-1)?.data).toMatchObject({ epoch: 2 });
    const late = merge({ entityId, update, expectedRevision: 2, baseClock: { 's:authoring': 1 } });
    expect(codeOf(await push(late))).toBe('document_replaced');
    expect(textOf(await bodyOf(entityId))).toBe('new');
  });

  it('tells the gateway what a merge met', async () => {
    const entityId = await seed('Take 5 mg');
    const [first = '', second = ''] = await Promise.all(
      ['10', '20'].map((dose) =>
        editOf(entityId, (text) => {
          text.delete(5, 1);
          text.insert(5, dose);
        }),
      ),
    );
    const baseClock = { 's:authoring': 1 };
    await push(merge({ entityId, update: first, expectedRevision: 1, baseClock }));
    const late = { deviceId: 'd2', userId: 'u2', clock: { 'd:d2': 1 }, expectedRevision: 2 };
    const result = await push(merge({ entityId, update: second, baseClock, ...late }));
    expect(result).toMatchObject({ status: 'applied', overlaps: { grade: 'severe' } });
  });

  it('is created, renamed and deleted by devices of its course, and of no other', async () => {
    const entityId = randomUUID();
    const fields = (given: Partial<PushedMutation>): PushedMutation =>
      merge({ op: 'put', entityId, data: { courseId: 'c1', title: 'Mine' }, ...given });
    expect(codeOf(await push(merge({ entityId, update: 'AAA=' })))).toBe('document_unknown');
    expect(codeOf(await push(fields({ data: { courseId: 'c2', title: 'Not mine' } })))).toBe('forbidden');
    expect(codeOf(await push(fields({ data: { courseId: 'c1', title: 'x', body: 'AAA=' } })))).toBe(
      'data_invalid',
    );
    expect(codeOf(await push(fields({})))).toBe('applied');
    const rename = fields({ op: 'patch', data: { title: 'Renamed' }, expectedRevision: 1 });
    expect(codeOf(await push({ ...rename, scope: 'course:c2' }))).toBe('forbidden');
    expect(codeOf(await push({ ...rename, mutationId: randomUUID() }))).toBe('applied');
    expect(codeOf(await push(fields({ op: 'delete', data: null, expectedRevision: 2 })))).toBe('applied');
    expect((await rig.eventsOf(entityId)).map(({ data }) => data?.['title'] ?? null)).toEqual([
      'Mine',
      'Renamed',
      null,
    ]);
  });
});
