import { randomUUID } from 'node:crypto';
import type { Entity } from '@sync/client';
import { type LearnerDevice, type StackLine, bindLearnerDevice } from '@sync/e2e-device';
import type { Suggestion } from '@sync/protocol';
import { AIEndpoint } from './testing/ai-endpoint.ts';
import { allowSuggestions, askForSuggestion } from './testing/ask-for-suggestion.ts';
import { eventually } from './testing/eventually.ts';

describe('a conflict merged with the help of a model', () => {
  const urls = JSON.parse(process.env['STACK_JSON'] ?? '{}') as StackLine;
  const tenantId = `t-${randomUUID().slice(0, 8)}`;
  const userId = `u-${randomUUID().slice(0, 8)}`;
  const noteId = `n-${userId}`;
  let ai: AIEndpoint;
  let phone: LearnerDevice;
  let tablet: LearnerDevice;

  const noteOn = ({ client }: LearnerDevice): Entity<Record<string, unknown>>['data'] | undefined =>
    client.entity('note').get(noteId)?.data;
  const suggestionOn = async (
    { client }: LearnerDevice,
    conflictId: string,
  ): Promise<Suggestion | undefined> =>
    (await client.conflicts()).find((record) => record.conflictId === conflictId)?.suggestions[0];
  /** Both devices changed the note offline; what the tablet wrote waits for a person. */
  const collide = async (): Promise<string> => {
    const [first, second] = [phone.client.entity('note'), tablet.client.entity('note')];
    await (await first.put(noteId, { userId, text: 'base', colour: 'white' })).wait('seen');
    await eventually('the tablet has the note', () => noteOn(tablet) !== undefined);
    for (const { client } of [phone, tablet]) client.forceOffline();
    const kept = await first.patch(noteId, { text: 'from the phone', colour: 'vermilion' });
    const held = await second.patch(noteId, { text: 'from the tablet', colour: 'azure' });
    phone.client.forceOffline(false);
    await kept.wait('seen');
    tablet.client.forceOffline(false);
    await expect(held.wait('applied')).rejects.toMatchObject({ outcome: { status: 'conflict' } });
    const conflictId = held.outcome?.conflictId ?? '';
    await eventually('the phone has the record', async () => {
      return (await phone.client.conflicts()).some((record) => record.conflictId === conflictId);
    });
    return conflictId;
  };

  beforeAll(async () => {
    ai = await AIEndpoint.start(process.env['AI_BASE_URL'] ?? '');
    await allowSuggestions(urls, tenantId, ['colour']);
    phone = await bindLearnerDevice(urls, tenantId, userId);
    tablet = await bindLearnerDevice(urls, tenantId, userId);
    for (const { client } of [phone, tablet]) await client.entity('note').load();
  });
  afterAll(() => Promise.all([phone.close(), tablet.close(), ai.stop()]));

  it('is suggested, seen by both devices as data, and changes nothing until a person accepts it', async () => {
    const conflictId = await collide();
    const { suggestionId, status } = await askForSuggestion(phone, conflictId);
    expect(status).toBe('requested');
    for (const device of [phone, tablet]) {
      await eventually('the suggestion is ready', async () => {
        return (await suggestionOn(device, conflictId))?.status === 'ready';
      });
    }
    expect(await suggestionOn(tablet, conflictId)).toMatchObject({
      suggestionId,
      changes: { set: { text: 'from the phone / from the tablet' }, remove: [] },
      redactedFields: ['colour'],
      provenance: { model: 'test-model-1' },
    });
    expect(noteOn(phone)).toMatchObject({ text: 'from the phone', colour: 'vermilion' });
    expect(ai.seen.join()).not.toMatch(/vermilion|azure|colour/);

    const resolution = { kind: 'accept_suggestion', suggestionId } as const;
    expect(await phone.client.resolve(conflictId, resolution)).toMatchObject({
      status: 'resolved',
      decider: { kind: 'suggestion', suggestionId, acceptedBy: { userId } },
    });
    for (const device of [phone, tablet]) {
      await eventually('the device shows what was accepted', async () => {
        const isAccepted = (await suggestionOn(device, conflictId))?.status === 'accepted';
        return isAccepted && noteOn(device)?.['text'] === 'from the phone / from the tablet';
      });
      // What never left could not be overwritten.
      expect(noteOn(device)?.['colour']).toBe('vermilion');
    }
  });
});
