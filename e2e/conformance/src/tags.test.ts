import { describe, expect, it } from '@jest/globals';
import type { LocalMutation } from '@sync/protocol';
import {
  anotherDevice,
  type Bound,
  boundUser,
  entityOf,
  fresh,
  pullUntil,
  sendAsItIs,
} from './kit/platform.ts';

/** A note, whose registration asks for no tags, unless it is a highlight, whose registration does. */
function written({ device, scope, userId }: Bound, entityType: 'note' | 'highlight' = 'note'): LocalMutation {
  const data =
    entityType === 'note'
      ? { userId, text: 'first' }
      : { userId, courseId: 'c', quote: 'to be', firstPage: 3, lastPage: 5 };
  const mutation = device.write({ scope, entityType, entityId: fresh('e'), op: 'put', data });
  // The present version of highlights is 3.
  return entityType === 'note' ? mutation : device.tag({ ...mutation, schemaVersion: 3 });
}

function untagged({ tag: _, ...mutation }: LocalMutation): LocalMutation {
  return mutation;
}

describe('a mutation with a tag', () => {
  it('is carried out as one without, which an old client sends', async () => {
    const user = await boundUser();
    const [tagged, bare] = [written(user), untagged(written(user))];
    expect(tagged.tag).toBeDefined();
    const outcomes = await sendAsItIs(user.device, tagged, bare);
    expect(outcomes.map(({ status }) => status)).toEqual(['applied', 'applied']);
    expect(await sendAsItIs(user.device, untagged(tagged), user.device.tag(bare))).toEqual(outcomes);
  });

  it('is what some registrations ask for', async () => {
    const user = await boundUser();
    const [tagged, bare] = [written(user, 'highlight'), untagged(written(user, 'highlight'))];
    expect(await sendAsItIs(user.device, tagged, bare)).toMatchObject([
      { status: 'applied' },
      { status: 'rejected', code: 'tag_missing', current: { op: 'delete' } },
    ]);
    await pullUntil(
      user.device,
      () => entityOf(user.device, user.scope, 'highlight', tagged.entityId) !== undefined,
    );
  });

  it('whose data is of an older version has the tag of what was sent', async () => {
    const user = await boundUser();
    const { userId, device } = user;
    const old = { userId, courseId: 'c', quote: 'to be', pages: '3-5', color: 'red' };
    const mutation = device.tag({ ...written(user, 'highlight'), schemaVersion: 1, data: old });
    const [outcome] = await sendAsItIs(device, mutation);
    expect(['applied', 'accepted']).toContain(outcome?.status);
    await pullUntil(device, () => {
      return entityOf(device, user.scope, 'highlight', mutation.entityId)?.data?.['colour'] === 'red';
    });
  });

  it.each<[string, (mutation: LocalMutation) => LocalMutation]>([
    ['that was changed', (mutation) => ({ ...mutation, data: { ...mutation.data, text: 'another' } })],
    ['that says another time', (mutation) => ({ ...mutation, occurredAt: '2026-01-01T00:00:00Z' })],
    ['under another id', (mutation) => ({ ...mutation, mutationId: crypto.randomUUID() })],
    ['with a field more', (mutation) => Object.assign({ later: true }, mutation)],
  ])('%s is refused, and its neighbours are not', async (_what, change) => {
    const user = await boundUser();
    const changed = change(written(user));
    expect(await sendAsItIs(user.device, written(user), changed, written(user))).toMatchObject([
      { status: 'applied' },
      { status: 'rejected', code: 'tag_invalid', current: { op: 'delete' } },
      { status: 'applied' },
    ]);
  });

  it('of one device is none of another of the same user, and its id stays free for the first', async () => {
    const user = await boundUser();
    const other = await anotherDevice(user);
    const mutation = written(user);
    expect(await sendAsItIs(other, mutation)).toMatchObject([{ status: 'rejected', code: 'tag_invalid' }]);
    expect(await sendAsItIs(user.device, mutation)).toMatchObject([{ status: 'applied' }]);
  });

  it('whose tag is malformed does not match its schema', async () => {
    const user = await boundUser();
    const [outcome] = await sendAsItIs(user.device, { ...written(user), tag: 'AAAA' });
    expect(outcome).toMatchObject({ status: 'rejected', code: 'mutation_invalid' });
    expect(outcome?.message).toContain('/tag');
  });
});
