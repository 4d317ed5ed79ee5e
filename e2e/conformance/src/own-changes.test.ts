import { randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { type DriverDevice, changeOnServer } from '@sync/e2e-device';
import type { LocalMutation, Outcome } from '@sync/protocol';
import {
  type Bound,
  appendStatements,
  boundUser,
  entityOf,
  fresh,
  minutes,
  platform,
  pullUntil,
  send,
} from './kit/platform.ts';

/**
 * A device and its own changes of one entity: what it leaves out of `baseClock`, and what it has forgotten.
 */

interface Known extends Bound {
  readonly entityId: string;
  /** The entry of `baseClock` that is not the device's own. */
  readonly seen: Record<string, number>;
  readonly own: string;
}

/** An entity of the server that a device has pulled. */
async function known(entityType: 'note' | 'progress'): Promise<Known> {
  const user = await boundUser();
  const { device, scope, tenantId, userId } = user;
  const entityId = fresh('own');
  const data =
    entityType === 'note'
      ? { userId, text: 'server', colour: 'white' }
      : { userId, courseId: 'c', percent: 1, status: 'in_progress', lastPage: 'server' };
  await changeOnServer(platform().learning, tenantId, entityType, entityId, data);
  await pullUntil(device, () => entityOf(device, scope, entityType, entityId) !== undefined);
  const seen = entityOf(device, scope, entityType, entityId)?.clock ?? {};
  return { ...user, entityId, seen, own: `d:${device.credentials.deviceId}` };
}

function patch(
  { scope, entityId }: Known,
  entityType: string,
  data: Record<string, unknown>,
  baseClock: Record<string, number>,
  sequence: number,
): LocalMutation {
  const occurredAt = new Date().toISOString();
  const op = 'patch' as const;
  return { mutationId: randomUUID(), sequence, scope, entityType, entityId, op, data, baseClock, occurredAt };
}

/** A terminal outcome, from the push or from a pull. */
async function ended(device: DriverDevice, mutation: LocalMutation): Promise<Outcome | undefined> {
  const [first] = await send(device, mutation);
  if (first?.status !== 'accepted') return first;
  await pullUntil(device, () => device.outcomes.has(mutation.mutationId));
  return device.outcomes.get(mutation.mutationId);
}

describe('a device that leaves its own entry out of baseClock', () => {
  it.each(['in one push', 'over several pushes'])('is not concurrent with itself: %s', async (how) => {
    const note = await known('note');
    const edits = [1, 2, 3].map((place) => patch(note, 'note', { text: `edit ${place}` }, note.seen, place));
    const outcomes: (Outcome | undefined)[] = [];
    if (how === 'in one push') outcomes.push(...(await send(note.device, ...edits)));
    else for (const edit of edits) outcomes.push(...(await send(note.device, edit)));
    expect(outcomes).toMatchObject(
      [1, 2, 3].map((count) => ({ status: 'applied', clock: { ...note.seen, [note.own]: count } })),
    );
  });
});

describe('a device that was restored from a backup', () => {
  const record = async ({ device, scope }: Known, outcome: Outcome | undefined): Promise<unknown> => {
    const conflictId = outcome?.conflictId ?? 'none';
    await pullUntil(device, () => entityOf(device, scope, 'conflict', conflictId) !== undefined);
    return entityOf(device, scope, 'conflict', conflictId)?.data;
  };

  it.each([
    ['was of another entity since', 'elsewhere'],
    ['was of what was refused', 'refused'],
  ])('is known by a sequence that it uses again, also where it %s', async (_where, how) => {
    const progress = await known('progress');
    const { device, seen, scope } = progress;
    const edit = (data: Record<string, unknown>, sequence: number): LocalMutation =>
      patch(progress, 'progress', data, seen, sequence);
    // Long before the next one: who writes last wins.
    const occurredAt = new Date(Date.now() - minutes(1)).toISOString();
    await send(device, { ...edit({ lastPage: 'forgotten' }, 11), occurredAt });
    if (how === 'refused') {
      expect(await send(device, edit({ percent: 'half' }, 12))).toMatchObject([{ status: 'rejected' }]);
    } else {
      const [entityId = ''] = appendStatements(device, scope, 1);
      const [written] = device.outbox.splice(0);
      expect(await send(device, { ...written, entityId, sequence: 11 })).toMatchObject([
        { status: 'applied' },
      ]);
    }
    const outcome = await ended(device, edit({ lastPage: 'new' }, 12));
    expect(outcome).toMatchObject({ status: 'merged', current: { data: { lastPage: 'new' } } });
    expect(await record(progress, outcome)).toMatchObject({
      fields: [{ field: 'lastPage', ours: 'forgotten', theirs: 'new', winner: 'theirs' }],
    });
    // It has heard how the entity stands: nothing is forgotten any more.
    await device.ack();
    expect(await ended(device, edit({ lastPage: 'newer' }, 13))).toMatchObject({ status: 'applied' });
  });

  it.each([
    ['counts from lower again', { counts: true }],
    ['has a backup from before its first change', { counts: false }],
  ])('overwrites nothing of its own unrecorded: it %s', async (_how, { counts }) => {
    const progress = await known('progress');
    const { device, seen, own } = progress;
    const edit = (lastPage: string, counted: number, sequence: number): LocalMutation => {
      const base = counted === 0 ? seen : { ...seen, [own]: counted };
      return patch(progress, 'progress', { lastPage }, base, sequence);
    };
    await send(device, edit('first', 0, 11), edit('second', 1, 12), edit('forgotten', 2, 13));
    // The backup is from after the first change, or from before it.
    const outcome = await ended(device, edit('new', counts ? 1 : 0, 12));
    expect(outcome).toMatchObject({ status: 'merged', current: { data: { lastPage: 'new' } } });
    expect(outcome?.clock).toEqual({ ...seen, [own]: 4 });
    expect(await record(progress, outcome)).toMatchObject({
      fields: [{ field: 'lastPage', ours: 'forgotten', theirs: 'new', winner: 'theirs' }],
    });
  });
});
