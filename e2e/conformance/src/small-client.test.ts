import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import type { PullResponse } from '@sync/protocol';
import { enroll } from './kit/course-document.ts';
import { boundUser, fresh, pullUntil } from './kit/platform.ts';
import { SmallClient } from './kit/small-client.ts';

describe('a client that stores entities by scope and forgets what it pushed', () => {
  it('knows where the entity of an outcome belongs', async () => {
    const { device, scope, userId } = await boundUser();
    const client = new SmallClient(device);
    const note = { scope, entityType: 'note', entityId: fresh('n') } as const;
    const data = { userId, text: 'as it stands' };
    await client.push([device.write({ ...note, op: 'put', data })]);
    await pullUntil(device, () => device.replica(scope).digest.count === 1);
    expect(client.scopes).toEqual([]);
    const [refused] = await client.push([device.write({ ...note, op: 'append', data: {} })]);
    expect(refused).toMatchObject({ status: 'rejected', scope });
    expect(client.scopes).toEqual([scope]);
    expect(client.find(scope, 'note', note.entityId)).toMatchObject(data);
    await client.pull();
    expect(client.find(scope, 'note', note.entityId)).toMatchObject(data);
  });

  it('acks with pushes and pulls what it stored and purged', async () => {
    const user = await boundUser();
    const { device, scope, userId } = user;
    const courseId = await enroll(user);
    const course = `course:${courseId}`;
    const client = new SmallClient(device);
    const pullWhile = async (isHeld: boolean): Promise<void> => {
      for (let attempt = 0; attempt < 300; attempt += 1) {
        const { scopes } = await device.call<PullResponse>('/sync/v1/pull', { limit: 1 });
        if (scopes.some((page) => page.scope === course) !== isHeld) return;
        await sleep(100);
      }
      throw new Error(`the course stays ${isHeld ? 'held' : 'away'}`);
    };
    await pullWhile(false);
    await client.pull();
    const note = { scope, entityType: 'note', entityId: fresh('n') } as const;
    await client.push([device.write({ ...note, op: 'put', data: { userId, text: 'a note' } })]);
    await enroll(user, courseId, 'withdrawn');
    await pullWhile(true);
    expect((await client.pull()).revoked).toEqual([course]);
    await client.push([]);
    const left = await device.call<PullResponse>('/sync/v1/pull', {});
    expect([left.outcomes, left.revoked]).toEqual([[], []]);
  });
});
