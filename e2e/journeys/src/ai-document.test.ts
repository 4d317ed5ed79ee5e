import { randomUUID } from 'node:crypto';
import type { Conflict } from '@sync/client';
import { type OpenDocument, openDocument } from '@sync/client/yjs';
import { type LearnerDevice, type StackLine, bindLearnerDevice, changeOnServer } from '@sync/e2e-device';
import * as Y from 'yjs';
import { AIEndpoint } from './testing/ai-endpoint.ts';
import { allowSuggestions, askForSuggestion } from './testing/ask-for-suggestion.ts';
import { eventually } from './testing/eventually.ts';

/** ClientIDs that only accepted suggestions write under. */
const SUGGESTIONS = { from: 2 ** 33, to: 2 ** 34 };

/** A device on which the document is open. */
interface Desk {
  readonly device: LearnerDevice;
  readonly open: OpenDocument;
}

const textOn = ({ open }: Desk): string => open.doc.getText('body').toJSON();

/** One transaction, stored on the device. */
async function replace({ open }: Pick<Desk, 'open'>, from: string, to: string): Promise<void> {
  const text = open.doc.getText('body');
  const at = text.toJSON().indexOf(from);
  open.doc.transact(() => {
    text.delete(at, from.length);
    text.insert(at, to);
  });
  await open.flush();
}

async function pushed({ device }: Desk): Promise<void> {
  device.client.forceOffline(false);
  await eventually('the outbox is empty', async () => (await device.outbox()).length === 0);
}

describe('lines of a document, merged with the help of a model', () => {
  const urls = JSON.parse(process.env['STACK_JSON'] ?? '{}') as StackLine;
  const tenantId = `t-${randomUUID().slice(0, 8)}`;
  const userId = `u-${randomUUID().slice(0, 8)}`;
  const courseId = `c-${randomUUID().slice(0, 8)}`;
  const entityId = randomUUID();
  let ai: AIEndpoint;
  let phone: Desk;
  let tablet: Desk;

  const sit = async (): Promise<Desk> => {
    const device = await bindLearnerDevice(urls, tenantId, userId);
    return { device, open: openDocument(device.client.entity('document'), entityId) };
  };
  const untilShown = async (wanted: string | RegExp): Promise<void> => {
    for (const desk of [phone, tablet]) {
      await eventually(`both show ${String(wanted)}`, () => textOn(desk).search(wanted) >= 0);
    }
  };
  const recordOn = async ({ device }: Desk, conflictId: string): Promise<Conflict | undefined> =>
    (await device.client.conflicts()).find((record) => record.conflictId === conflictId);
  /**
   * Both change the number of the line; the merge puts it together from both. @returns the record, and what
   * stands there
   */
  const collide = async (): Promise<{ conflictId: string; merged: string }> => {
    expect(textOn(phone)).toContain('Take 5 mg.');
    for (const { device } of [phone, tablet]) device.client.forceOffline();
    await replace(phone, '5', '10');
    await replace(tablet, '5', '20');
    await pushed(phone);
    await pushed(tablet);
    await untilShown(/1020|2010/);
    const [lost] = (await tablet.device.client.outcomes()).slice(-1);
    const { status, conflictId = '' } = lost?.outcome ?? {};
    expect([status, conflictId === '']).toEqual(['merged', false]);
    await eventually('the record is there', async () => (await recordOn(phone, conflictId)) !== undefined);
    return { conflictId, merged: textOn(phone).split('\n')[1] ?? '' };
  };
  const suggestion = async (conflictId: string): Promise<string> => {
    const { suggestionId } = await askForSuggestion(phone.device, conflictId);
    await eventually('the suggestion is ready', async () => {
      return (await recordOn(phone, conflictId))?.suggestions[0]?.status === 'ready';
    });
    return suggestionId;
  };
  const accept = (conflictId: string, suggestionId: string): Promise<Conflict> =>
    phone.device.client.resolve(conflictId, { kind: 'accept_suggestion', suggestionId });

  beforeAll(async () => {
    ai = await AIEndpoint.start(process.env['AI_BASE_URL'] ?? '');
    const enrollment = { userId, courseId, status: 'active', enrolledAt: '2026-01-01T00:00:00.000Z' };
    await changeOnServer(urls.learning, tenantId, 'enrollment', `e-${courseId}`, enrollment);
    const data = { courseId, title: 'Dosage', text: 'Aspirin\nTake 5 mg.\nWith water.\n' };
    await changeOnServer(urls.authoring, tenantId, 'document', entityId, data);
    await allowSuggestions(urls, tenantId, []);
    [phone, tablet] = [await sit(), await sit()];
    await untilShown('Take 5 mg.');
  });
  afterAll(async () => {
    for (const { device, open } of [phone, tablet]) {
      await open.destroy();
      await device.close();
    }
    await ai.stop();
  });

  it('are proposed as text, written only when a person accepts, and show for ever who wrote them', async () => {
    const { conflictId, merged } = await collide();
    const suggestionId = await suggestion(conflictId);
    const proposed = (await recordOn(phone, conflictId))?.suggestions[0]?.changes?.set['body:2'];
    expect(proposed).toBe('Take 10 mg. / Take 20 mg.');
    expect(textOn(phone)).toBe(`Aspirin\n${merged}\nWith water.\n`);
    // The document moves elsewhere: what was proposed for the line holds.
    await replace(phone, 'With water.', 'With milk.');
    await pushed(phone);
    expect(await accept(conflictId, suggestionId)).toMatchObject({
      ...{ status: 'resolved', decider: { kind: 'suggestion', acceptedBy: { userId } } },
    });
    await untilShown(/^Aspirin\nTake 10 mg\. \/ Take 20 mg\.\nWith milk\.\n$/);
    const written = [...tablet.open.doc.store.clients.keys()];
    expect(written.filter((client) => client >= SUGGESTIONS.from && client < SUGGESTIONS.to)).toHaveLength(1);
  });

  it('are stale when the line was written anew, and no device can write as a suggestion', async () => {
    await replace(phone, 'Take 10 mg. / Take 20 mg.', 'Take 5 mg.');
    await untilShown('Take 5 mg.');
    const { conflictId, merged } = await collide();
    const suggestionId = await suggestion(conflictId);
    await replace(phone, merged, 'Take none.');
    await pushed(phone);
    await expect(accept(conflictId, suggestionId)).rejects.toMatchObject({
      failure: { status: 409, problem: { code: 'conflict_moved' } },
    });
    await eventually('the suggestion is stale', async () => {
      return (await recordOn(phone, conflictId))?.suggestions[0]?.status === 'stale';
    });
    expect((await recordOn(phone, conflictId))?.status).toBe('open');
    const forged = new Y.Doc();
    forged.clientID = SUGGESTIONS.from + 99;
    const open = openDocument(phone.device.client.entity('document'), entityId, { doc: forged });
    await open.whenLoaded;
    await replace({ open }, 'Take none.', 'Take all.');
    await pushed(phone);
    const [refused] = (await phone.device.client.outcomes()).slice(-1);
    expect(refused?.outcome).toMatchObject({ status: 'rejected', code: 'client_id_foreign' });
    await open.destroy();
  });
});
