import { randomUUID } from 'node:crypto';
import { DriverDevice, type StackLine, adminToken, bindDevice, changeOnServer } from '@sync/e2e-device';
import type { ConflictRecord, SuggestionResponse } from '@sync/protocol';
import * as Y from 'yjs';
import { AIEndpoint } from './testing/ai-endpoint.ts';

const SETTINGS = {
  ...{ enabled: true, tokensPerDay: 50_000, costPerDayMicros: 0 },
  ...{ redactFields: [], redactPatterns: [] },
};
/** ClientIDs that only accepted suggestions write under. */
const SUGGESTIONS = { from: 2 ** 33, to: 2 ** 34 };

describe('lines of a document, merged with the help of a model', () => {
  const urls = JSON.parse(process.env['STACK_JSON'] ?? '{}') as StackLine;
  const tenantId = `t-${randomUUID().slice(0, 8)}`;
  const userId = `u-${randomUUID().slice(0, 8)}`;
  const courseId = `c-${randomUUID().slice(0, 8)}`;
  const scope = `course:${courseId}`;
  const entityId = randomUUID();
  const key = `document/${entityId}`;
  let ai: AIEndpoint;
  let phone: DriverDevice;
  let tablet: DriverDevice;

  const until = async (device: DriverDevice, wanted: () => boolean): Promise<void> => {
    for (let attempt = 0; attempt < 300 && !wanted(); attempt += 1) {
      await device.pullOnce({ waitMs: 200 });
      await device.sync();
    }
    expect(wanted()).toBe(true);
  };
  const documentOn = (device: DriverDevice): Y.Doc => {
    const doc = new Y.Doc();
    const { update } = device.replica(scope).entities.get(key) ?? {};
    if (update !== undefined) Y.applyUpdate(doc, Buffer.from(update, 'base64'));
    return doc;
  };
  const textOn = (device: DriverDevice): string => documentOn(device).getText('body').toJSON();
  const recordOn = (device: DriverDevice, conflictId: string): ConflictRecord | undefined =>
    device.replica(`user:${userId}`).entities.get(`conflict/${conflictId}`)?.data as
      ConflictRecord | undefined;
  const replace = (device: DriverDevice, from: string, to: string, clientId?: number): void => {
    const doc = documentOn(device);
    if (clientId !== undefined) doc.clientID = clientId;
    const before = Y.encodeStateVector(doc);
    const at = doc.getText('body').toJSON().indexOf(from);
    doc.getText('body').delete(at, from.length);
    doc.getText('body').insert(at, to);
    const update = Buffer.from(Y.encodeStateAsUpdate(doc, before)).toString('base64');
    device.write({ scope, entityType: 'document', entityId, op: 'merge', update });
  };
  /**
   * Both change the number of the line; the merge puts it together from both. @returns the record, and what
   * stands there
   */
  const collide = async (): Promise<{ conflictId: string; merged: string }> => {
    const before = textOn(phone);
    replace(phone, '5', '10');
    replace(tablet, '5', '20');
    await phone.push();
    const [outcome] = await tablet.push();
    const conflictId = outcome?.conflictId ?? '';
    expect(outcome?.status).toBe('merged');
    for (const device of [phone, tablet]) await until(device, () => /1020|2010/.test(textOn(device)));
    await until(phone, () => recordOn(phone, conflictId) !== undefined);
    expect(before).toContain('Take 5 mg.');
    return { conflictId, merged: textOn(phone).split('\n')[1] ?? '' };
  };
  const suggestion = async (conflictId: string): Promise<string> => {
    const asked = await phone.send<SuggestionResponse>(`/sync/v1/conflicts/${conflictId}/suggestions`, {});
    expect(asked.status).toBe(202);
    await until(phone, () => recordOn(phone, conflictId)?.suggestions[0]?.status === 'ready');
    return asked.body.suggestion.suggestionId;
  };
  const accept = (conflictId: string, suggestionId: string): ReturnType<DriverDevice['send']> => {
    const expectedClock = phone.replica(scope).entities.get(key)?.clock;
    const resolution = { kind: 'accept_suggestion', suggestionId };
    return phone.send('/sync/v1/resolve-conflict', { conflictId, resolution, expectedClock });
  };

  beforeAll(async () => {
    ai = await AIEndpoint.start(process.env['AI_BASE_URL'] ?? '');
    const enrollment = { userId, courseId, status: 'active', enrolledAt: '2026-01-01T00:00:00.000Z' };
    await changeOnServer(urls.learning, tenantId, 'enrollment', `e-${courseId}`, enrollment);
    const data = { courseId, title: 'Dosage', text: 'Aspirin\nTake 5 mg.\nWith water.\n' };
    await changeOnServer(urls.authoring, tenantId, 'document', entityId, data);
    const bind = async (): Promise<DriverDevice> =>
      new DriverDevice(urls.gateway, await bindDevice(urls, tenantId, userId));
    [phone, tablet] = [await bind(), await bind()];
    const authorization = `Bearer ${await adminToken(urls, tenantId)}`;
    const headers = { authorization, 'content-type': 'application/json' };
    const body = JSON.stringify(SETTINGS);
    const answer = await fetch(`${urls.gateway}/admin/v1/suggestions`, { method: 'PUT', headers, body });
    expect(answer.status).toBe(200);
    for (const device of [phone, tablet]) await until(device, () => textOn(device).includes('Take 5 mg.'));
  });
  afterAll(() => ai.stop());

  it('are proposed as text, written only when a person accepts, and show for ever who wrote them', async () => {
    const { conflictId, merged } = await collide();
    const suggestionId = await suggestion(conflictId);
    const proposed = recordOn(phone, conflictId)?.suggestions[0]?.changes?.set['body:2'];
    expect(proposed).toBe('Take 10 mg. / Take 20 mg.');
    expect(textOn(phone)).toBe(`Aspirin\n${merged}\nWith water.\n`);
    // The document moves elsewhere: what was proposed for the line holds.
    replace(phone, 'With water.', 'With milk.');
    await phone.push();
    await until(phone, () => textOn(phone).includes('milk'));
    expect(await accept(conflictId, suggestionId)).toMatchObject({
      status: 200,
      body: { conflict: { status: 'resolved', decider: { kind: 'suggestion', acceptedBy: { userId } } } },
    });
    const wanted = 'Aspirin\nTake 10 mg. / Take 20 mg.\nWith milk.\n';
    for (const device of [phone, tablet]) await until(device, () => textOn(device) === wanted);
    const written = [...documentOn(tablet).store.clients.keys()];
    expect(written.filter((client) => client >= SUGGESTIONS.from && client < SUGGESTIONS.to)).toHaveLength(1);
  });

  it('are stale when the line was written anew, and no device can write as a suggestion', async () => {
    replace(phone, 'Take 10 mg. / Take 20 mg.', 'Take 5 mg.');
    await phone.push();
    for (const device of [phone, tablet]) await until(device, () => textOn(device).includes('Take 5 mg.'));
    const { conflictId, merged } = await collide();
    const suggestionId = await suggestion(conflictId);
    replace(phone, merged, 'Take none.');
    await phone.push();
    await until(phone, () => textOn(phone).includes('Take none.'));
    expect(await accept(conflictId, suggestionId)).toMatchObject({
      status: 409,
      body: { code: 'conflict_moved' },
    });
    await until(phone, () => recordOn(phone, conflictId)?.suggestions[0]?.status === 'stale');
    expect(recordOn(phone, conflictId)?.status).toBe('open');
    replace(phone, 'Take none.', 'Take all.', SUGGESTIONS.from + 99);
    expect(await phone.push()).toMatchObject([{ status: 'rejected', code: 'client_id_foreign' }]);
  });
});
