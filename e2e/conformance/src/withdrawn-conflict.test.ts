import { describe, expect, it } from '@jest/globals';
import type { ConflictRecord } from '@sync/protocol';
import { type SharedDocument, edit, enroll, recordOf, sharedDocument } from './kit/course-document.ts';
import { pullUntil, rawPull } from './kit/platform.ts';

/** What stands on the server. */
const SECRET = '10 mg';

interface Held extends SharedDocument {
  readonly record: ConflictRecord;
}

/** An open conflict about a dose in a document of a course; `other` wrote what waits for a person. */
async function openConflict(): Promise<Held> {
  const shared = await sharedDocument('5 mg daily\n');
  const { device, other } = shared;
  for (const [one, dose] of [
    [device, '10'],
    [other, '20'],
  ] as const) {
    edit(one, shared, (text) => {
      text.delete(0, 1);
      text.insert(0, dose);
    });
  }
  await device.push();
  const [outcome] = await other.push();
  const record = await recordOf(other, shared, outcome);
  expect(record).toMatchObject({ status: 'open', scope: shared.course, theirsUpdate: expect.any(String) });
  expect(JSON.stringify(record)).toContain(SECRET);
  return { ...shared, record };
}

/** Takes the course from its learner, or gives it back, and waits until a device knows. */
async function setEnrolment(held: Held, status: 'active' | 'withdrawn'): Promise<void> {
  const { other, course } = held;
  await enroll(held, course.slice('course:'.length), status);
  await pullUntil(other, () => other.scopes.has(course) === (status === 'active'));
}

interface ConflictAnswer {
  readonly conflict?: ConflictRecord;
  readonly code?: string;
  readonly ownerCode?: string;
}

async function shown({ other, record }: Held): Promise<ConflictRecord | undefined> {
  const path = `/sync/v1/conflicts/${record.conflictId}`;
  return (await other.send<ConflictAnswer>(path, null, { method: 'GET' })).body.conflict;
}

/** As a device that begins anew gets it. */
async function pulled({ other, scope, record }: Held): Promise<unknown> {
  const { deltas } = await rawPull(other, scope, null);
  return deltas.find(({ entityId }) => entityId === record.conflictId)?.data;
}

describe('a conflict about an entity of a course that was taken from its user', () => {
  it('shows what the user wrote and nothing of the server, until the course is held again', async () => {
    const held = await openConflict();
    await setEnrolment(held, 'withdrawn');
    const { conflictId, theirsUpdate } = held.record;
    for (const record of [await shown(held), await pulled(held)]) {
      expect(record).toMatchObject({ conflictId, status: 'open', theirsUpdate, ours: null, base: null });
      expect((record as ConflictRecord).omitted).toEqual(expect.arrayContaining(['fields', 'ours']));
      expect(JSON.stringify(record)).not.toContain(SECRET);
    }
    await setEnrolment(held, 'active');
    expect(await shown(held)).toEqual(held.record);
  });

  it('is resolved by nothing that would write into the course', async () => {
    const held = await openConflict();
    await setEnrolment(held, 'withdrawn');
    const { conflictId, clocks } = held.record;
    const resolve = (kind: string): Promise<{ status: number; body: ConflictAnswer }> => {
      const body = { conflictId, resolution: { kind }, expectedClock: clocks.ours };
      return held.other.send<ConflictAnswer>('/sync/v1/resolve-conflict', body);
    };
    expect(await resolve('keep_client')).toMatchObject({
      status: 422,
      body: { code: 'resolution_rejected', ownerCode: 'scope_not_held' },
    });
    expect((await shown(held))?.status).toBe('open');
    const kept = await resolve('keep_server');
    expect(kept).toMatchObject({ status: 200, body: { conflict: { status: 'resolved', ours: null } } });
    expect(JSON.stringify(kept)).not.toContain(SECRET);
  });

  it('is changed by no mutation', async () => {
    const held = await openConflict();
    const { other, scope, record } = held;
    const entity = { scope, entityType: 'conflict', entityId: record.conflictId, op: 'patch' } as const;
    other.write({ ...entity, data: { status: 'resolved' } });
    expect(await other.push()).toMatchObject([{ status: 'rejected', code: 'forbidden' }]);
    expect(await shown(held)).toEqual(record);
  });
});
