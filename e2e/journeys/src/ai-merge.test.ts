import { randomUUID } from 'node:crypto';
import { DriverDevice, type StackLine, adminToken, bindDevice } from '@sync/e2e-device';
import type { ConflictRecord, Suggestion, SuggestionResponse } from '@sync/protocol';
import { AIEndpoint } from './testing/ai-endpoint.ts';

const SETTINGS = {
  enabled: true,
  tokensPerDay: 50_000,
  costPerDayMicros: 0,
  redactFields: ['colour'],
  redactPatterns: [],
};

describe('a conflict merged with the help of a model', () => {
  const urls = JSON.parse(process.env['STACK_JSON'] ?? '{}') as StackLine;
  const tenantId = `t-${randomUUID().slice(0, 8)}`;
  const userId = `u-${randomUUID().slice(0, 8)}`;
  const scope = `user:${userId}`;
  const note = { scope, entityType: 'note', entityId: `n-${userId}` };
  let ai: AIEndpoint;
  let phone: DriverDevice;
  let tablet: DriverDevice;

  const bind = async (): Promise<DriverDevice> =>
    new DriverDevice(urls.gateway, await bindDevice(urls, tenantId, userId));
  const held = (device: DriverDevice, key: string): Record<string, unknown> | null | undefined =>
    device.replica(scope).entities.get(key)?.data;
  const noteOn = (device: DriverDevice) => held(device, `note/${note.entityId}`);
  const suggestionOn = (device: DriverDevice, conflictId: string): Suggestion | undefined =>
    (held(device, `conflict/${conflictId}`) as ConflictRecord | undefined)?.suggestions[0];
  const until = async (device: DriverDevice, wanted: () => boolean): Promise<void> => {
    for (let attempt = 0; attempt < 300 && !wanted(); attempt += 1) {
      await device.pullOnce({ waitMs: 200 });
      await device.sync();
    }
    expect(wanted()).toBe(true);
  };
  /** Both devices changed the note offline; what the tablet wrote waits for a person. */
  const collide = async (): Promise<string> => {
    phone.write({ ...note, op: 'put', data: { userId, text: 'base', colour: 'white' } });
    await phone.push();
    for (const device of [phone, tablet]) await until(device, () => noteOn(device) !== undefined);
    phone.write({ ...note, op: 'patch', data: { text: 'from the phone', colour: 'vermilion' } });
    tablet.write({ ...note, op: 'patch', data: { text: 'from the tablet', colour: 'azure' } });
    await phone.push();
    const [outcome] = await tablet.push();
    expect(outcome?.status).toBe('conflict');
    const conflictId = outcome?.conflictId ?? '';
    await until(phone, () => held(phone, `conflict/${conflictId}`) !== undefined);
    await until(phone, () => noteOn(phone)?.['text'] === 'from the phone');
    return conflictId;
  };

  beforeAll(async () => {
    ai = await AIEndpoint.start(process.env['AI_BASE_URL'] ?? '');
    [phone, tablet] = [await bind(), await bind()];
    const answer = await fetch(`${urls.gateway}/admin/v1/suggestions`, {
      method: 'PUT',
      headers: {
        authorization: `Bearer ${await adminToken(urls, tenantId)}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify(SETTINGS),
    });
    expect(answer.status).toBe(200);
  });
  afterAll(() => ai.stop());

  it('is suggested, seen by both devices as data, and changes nothing until a person accepts it', async () => {
    const conflictId = await collide();
    const asked = await phone.send<SuggestionResponse>(`/sync/v1/conflicts/${conflictId}/suggestions`, {});
    expect([asked.status, asked.body.suggestion.status]).toEqual([202, 'requested']);
    const { suggestionId } = asked.body.suggestion;
    for (const device of [phone, tablet]) {
      await until(device, () => suggestionOn(device, conflictId)?.status === 'ready');
    }
    expect(suggestionOn(tablet, conflictId)).toMatchObject({
      suggestionId,
      changes: { set: { text: 'from the phone / from the tablet' }, remove: [] },
      redactedFields: ['colour'],
      provenance: { model: 'test-model-1' },
    });
    expect(noteOn(phone)).toMatchObject({ text: 'from the phone', colour: 'vermilion' });
    expect(ai.seen.join()).not.toMatch(/vermilion|azure|colour/);

    const expectedClock = phone.replica(scope).entities.get(`note/${note.entityId}`)?.clock;
    const resolution = { kind: 'accept_suggestion', suggestionId };
    const resolved = await phone.send<{ conflict: ConflictRecord }>('/sync/v1/resolve-conflict', {
      ...{ conflictId, resolution, expectedClock },
    });
    expect(resolved).toMatchObject({
      status: 200,
      body: {
        conflict: {
          status: 'resolved',
          decider: { kind: 'suggestion', suggestionId, acceptedBy: { userId } },
        },
      },
    });
    for (const device of [phone, tablet]) {
      await until(device, () => noteOn(device)?.['text'] === 'from the phone / from the tablet');
      await until(device, () => suggestionOn(device, conflictId)?.status === 'accepted');
      // What never left could not be overwritten.
      expect(noteOn(device)?.['colour']).toBe('vermilion');
    }
  });
});
