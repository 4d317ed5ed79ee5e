import { describe, expect, it } from '@jest/globals';
import type { DriverDevice } from '@sync/e2e-device';
import {
  LIMITS,
  type LocalMutation,
  type Outcome,
  type PullResponse,
  type PushResponse,
} from '@sync/protocol';
import * as Y from 'yjs';
import { recordOf, sharedDocument, writeUpdate } from './kit/course-document.ts';
import { type Bound, boundUser, entityOf, fresh, pullUntil } from './kit/platform.ts';

/** A note of 720 KB, written in three parts because a mutation has 256 KiB. */
const PART = 240_000;
const NOTE_BYTES = 3 * PART;
/** Entities in one answer, and what stands around them. */
const ANSWER_BYTES = 9 * 1024 * 1024;

async function largeNote({ device, scope, userId }: Bound): Promise<string> {
  const entityId = fresh('n');
  const parts = ['a', 'b', 'c'].map((letter) => letter.repeat(PART));
  const entity = { scope, entityType: 'note', entityId };
  device.write({ ...entity, op: 'put', data: { userId, text: parts[0] } });
  await device.push();
  for (const [place, extra] of parts.slice(1).entries()) {
    device.write({ ...entity, op: 'patch', data: { [`part${place}`]: extra } });
    await device.push();
  }
  await pullUntil(device, () => {
    return JSON.stringify(entityOf(device, scope, 'note', entityId) ?? '').length > NOTE_BYTES;
  });
  return entityId;
}

/** Pushes what waits in one request. @returns its outcomes and the bytes of the answer */
async function pushAll(device: DriverDevice): Promise<{ outcomes: Outcome[]; bytes: number }> {
  const mutations = device.outbox.splice(0);
  const answer = await device.call<PushResponse>('/sync/v1/push', {
    sentAt: new Date().toISOString(),
    mutations,
  });
  device.noteOutcomes(answer.outcomes);
  return { outcomes: answer.outcomes, bytes: JSON.stringify(answer).length };
}

/** Pulls and acks until the device has an outcome of each. @returns the bytes of each answer's outcomes */
async function pullOutcomes(device: DriverDevice, mutations: readonly LocalMutation[]): Promise<number[]> {
  const sizes: number[] = [];
  const ended = (): boolean =>
    mutations.every(({ mutationId }) => {
      const status = device.outcomes.get(mutationId)?.status;
      return status !== undefined && status !== 'accepted';
    });
  while (!ended()) {
    const answer: PullResponse = await device.pullOnce({ waitMs: 1_000 });
    checkShown(answer.outcomes);
    sizes.push(JSON.stringify(answer.outcomes).length);
    await device.ack();
  }
  return sizes;
}

/** Each entity once: every other outcome of it names the one in the same answer that shows it. */
function checkShown(outcomes: readonly Outcome[]): void {
  const shown = new Set(outcomes.flatMap(({ mutationId, current }) => (current ? [mutationId] : [])));
  for (const outcome of outcomes) {
    if (outcome.status === 'applied' || outcome.status === 'accepted') continue;
    const { current, currentOf } = outcome;
    expect(current ?? shown.has(currentOf ?? '')).toBeTruthy();
  }
}

describe('100 small changes of a note of 720 KB that are refused', () => {
  it.each([
    ['by the protocol', { occurredAt: 'yesterday' }, 'mutation_invalid'],
    ['by the owner', { data: { text: null } }, 'data_invalid'],
  ])(
    'show the note once an answer: %s',
    async (_by, invalid, code) => {
      const user = await boundUser();
      const { device, scope } = user;
      const entityId = await largeNote(user);
      const mutations = Array.from({ length: 100 }, (): LocalMutation => {
        const written = device.write({
          scope,
          entityType: 'note',
          entityId,
          op: 'patch',
          data: { colour: 'red' },
        });
        return device.tag({ ...written, ...invalid });
      });
      device.outbox.splice(0, 100, ...mutations);
      const { outcomes, bytes } = await pushAll(device);
      expect(bytes).toBeLessThan(2 * NOTE_BYTES);
      checkShown(outcomes);
      for (const size of await pullOutcomes(device, mutations)) expect(size).toBeLessThan(2 * NOTE_BYTES);
      const codes = mutations.map(({ mutationId }) => device.outcomes.get(mutationId)?.code);
      expect(new Set(codes)).toEqual(new Set([code]));
      const again = await device.call<PushResponse>('/sync/v1/push', {
        sentAt: new Date().toISOString(),
        mutations,
      });
      checkShown(again.outcomes);
      expect(JSON.stringify(again).length).toBeLessThan(2 * NOTE_BYTES);
    },
    120_000,
  );
});

it('refused changes of 15 notes of 720 KB come in answers that are bounded, and each shows its note', async () => {
  const user = await boundUser();
  const { device, scope } = user;
  const entityIds: string[] = [];
  for (let count = 0; count < 15; count += 1) entityIds.push(await largeNote(user));
  const mutations = entityIds.map((entityId) => {
    const written = device.write({
      scope,
      entityType: 'note',
      entityId,
      op: 'patch',
      data: { colour: 'red' },
    });
    return device.tag({ ...written, occurredAt: 'yesterday' });
  });
  device.outbox.splice(0, mutations.length, ...mutations);
  const { outcomes, bytes } = await pushAll(device);
  expect(bytes).toBeLessThan(ANSWER_BYTES);
  checkShown(outcomes);
  for (const size of await pullOutcomes(device, mutations)) expect(size).toBeLessThan(ANSWER_BYTES);
  const shown = mutations.map(({ mutationId }) => device.outcomes.get(mutationId)?.current?.entityId);
  expect(shown).toEqual(entityIds);
}, 120_000);

describe('what is refused and as long as the protocol allows', () => {
  it('is kept whole in its record: an update of a document', async () => {
    const shared = await sharedDocument('Notes: ');
    const { device } = shared;
    const update = incompleteUpdate((LIMITS.updateLength * 3) / 4);
    writeUpdate(device, shared, update);
    expect(device.outbox[0]?.update).toHaveLength(LIMITS.updateLength);
    const [sent] = device.outbox;
    const [outcome] = await device.push();
    expect(outcome).toMatchObject({ status: 'rejected', code: 'update_incomplete' });
    const record = await recordOf(device, shared, outcome);
    expect(record.theirsUpdate === sent?.update).toBe(true);
  });

  it.each(['put', 'patch'] as const)('is kept whole in its record: the data of a %s', async (op) => {
    const user = await boundUser();
    const { device, scope, userId } = user;
    const entity = { scope, entityType: 'note' };
    const unnamed = { ...entity, entityId: fresh('n'), op: 'put', data: { userId } } as const;
    const { mutationId } = device.write(unnamed);
    const frame = JSON.stringify({ userId, text: '' }).length;
    const data = { userId, text: 'w'.repeat(LIMITS.mutationBytes - frame) };
    device.write({ ...entity, entityId: fresh('n'), op, data, dependsOn: [mutationId] });
    const [, outcome] = await device.push();
    expect(outcome).toMatchObject({ status: 'rejected', code: 'dependency_failed' });
    const record = await recordOf(device, user, outcome);
    expect(record.theirs?.['text'] === data.text).toBe(true);
  });
});

/** A valid update of exactly so many bytes that builds on a letter which nobody else has. */
function incompleteUpdate(bytes: number): Uint8Array {
  for (let letters = bytes; ;) {
    const doc = new Y.Doc();
    doc.clientID = 1_234_567;
    doc.getText('body').insert(0, 'a');
    const before = Y.encodeStateVector(doc);
    doc.getText('body').insert(1, 'w'.repeat(letters));
    const update = Y.encodeStateAsUpdate(doc, before);
    if (update.length === bytes) return update;
    letters -= update.length - bytes;
  }
}
