import { randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { changeOnServer } from '@sync/e2e-device';
import type { LocalMutation } from '@sync/protocol';
import { type Bound, boundUser, entityOf, fresh, platform, pullUntil, send } from './kit/platform.ts';

/** What a device says that it has seen, and what there is. */

const BEYOND = Number.MAX_SAFE_INTEGER - 1;

/** An entity that the server has changed once more than the device has pulled. */
async function changedSince(
  entityType: 'enrollment' | 'note',
  first: object,
  then: object,
): Promise<Bound & { readonly entityId: string }> {
  const user = await boundUser();
  const { device, scope, tenantId, userId } = user;
  const entityId = fresh('claimed');
  const write = (data: object): Promise<void> =>
    changeOnServer(platform().learning, tenantId, entityType, entityId, { userId, ...data });
  await write(first);
  await pullUntil(device, () => entityOf(device, scope, entityType, entityId) !== undefined);
  await write(then);
  return { ...user, entityId };
}

function patchOf(
  { scope, entityId }: Bound & { readonly entityId: string },
  entityType: string,
  data: Record<string, unknown>,
): LocalMutation {
  const baseClock = { 's:learning': BEYOND, 's:authoring': BEYOND, 's:folded': BEYOND, 'd:other': BEYOND };
  const occurredAt = new Date().toISOString();
  const op = 'patch' as const;
  return {
    mutationId: randomUUID(),
    sequence: 1,
    scope,
    entityType,
    entityId,
    op,
    data,
    baseClock,
    occurredAt,
  };
}

describe('a device that claims to have seen more than there is', () => {
  it('overwrites no change of the server where that has the last word', async () => {
    const courseId = fresh('c');
    const entity = await changedSince(
      'enrollment',
      { courseId, status: 'active' },
      { courseId, status: 'completed' },
    );
    const [outcome] = await send(entity.device, patchOf(entity, 'enrollment', { status: 'withdrawn' }));
    expect(outcome).toMatchObject({
      status: 'rejected',
      code: 'server_changed',
      conflictId: expect.any(String),
      current: { data: { status: 'completed' } },
    });
  });

  it('skips no review of a collision', async () => {
    const entity = await changedSince('note', { text: 'first' }, { text: 'second' });
    const [outcome] = await send(entity.device, patchOf(entity, 'note', { text: 'mine' }));
    expect(outcome).toMatchObject({
      status: 'conflict',
      conflictId: expect.any(String),
      current: { data: { text: 'second' } },
    });
  });
});
