import { describe, expect, it } from '@jest/globals';
import { makeDevice, quiet } from './testing/make-device.ts';

describe('who listens for what a person has to see', () => {
  it('hears of each outcome that is for the app, and of its end', async () => {
    const { client, transport, notes } = await makeDevice();
    const told: number[] = [];
    const look = async (): Promise<void> => void told.push((await client.outcomes()).length);
    client.onOutcomes(() => void look());
    transport.decide = ({ data }) => (data?.['value'] === 'bad' ? 'rejected' : 'applied');
    client.start();
    await notes.put('a', { value: 1 });
    await quiet();
    expect(told).toEqual([]);
    const bad = await notes.put('a', { value: 'bad' });
    await quiet();
    expect(told).toEqual([1]);
    await client.dismiss(bad.mutationId);
    await quiet();
    expect(told).toEqual([1, 0]);
  });

  it('hears of changed conflicts, of which each is the same object until it changes', async () => {
    const { client, transport } = await makeDevice({ entityType: 'conflict' });
    transport.server.changeItself('c1', { conflictId: 'c1' });
    transport.server.changeItself('c2', { conflictId: 'c2', status: 'open' });
    expect(await client.conflicts()).toEqual([]);
    const told: number[] = [];
    client.onConflicts(() => told.push(1));
    client.start();
    await quiet();
    expect(told).toEqual([1]);
    const [first, second] = await client.conflicts();
    transport.server.changeItself('c2', { conflictId: 'c2', status: 'resolved' });
    transport.news();
    await quiet();
    expect(told).toEqual([1, 1]);
    const [same, other] = await client.conflicts();
    expect(same).toBe(first);
    expect(other).not.toBe(second);
    expect(other?.status).toBe('resolved');
  });
});

describe('the state of a write', () => {
  it('is the same object until it has come further, and of one that failed says so', async () => {
    const { client, transport, notes } = await makeDevice();
    transport.decide = ({ entityId }) => (entityId === 'bad' ? 'rejected' : 'applied');
    const writes = [await notes.put('a', { value: 1 }), await notes.put('bad', { value: 1 })];
    const [good] = writes;
    const states = new Set([good?.state]);
    good?.subscribe(() => states.add(good.state));
    expect(good?.state).toBe(good?.state);
    expect(writes.map(({ state }) => state)).toEqual([
      { tier: 'stored', hasFailed: false, outcome: null },
      { tier: 'stored', hasFailed: false, outcome: null },
    ]);
    client.start();
    await quiet();
    expect(writes.map(({ state }) => state)).toMatchObject([
      { tier: 'seen', hasFailed: false, outcome: { status: 'applied' } },
      { tier: 'accepted', hasFailed: true, outcome: { status: 'rejected' } },
    ]);
    expect([...states].map((state) => state?.tier)).toEqual(['stored', 'applied', 'seen']);
  });
});

describe('what the server has of an entity', () => {
  it('is without the writes of this device', async () => {
    const { client, transport, notes } = await makeDevice();
    transport.server.changeItself('a', { value: 1 });
    client.start();
    await quiet();
    client.forceOffline();
    await notes.put('a', { value: 2 });
    const place = { entityType: 'note', entityId: 'a' };
    expect(await client.serverState(place)).toMatchObject({ data: { value: 1 }, clock: { 's:owner': 1 } });
    expect(await client.serverState({ ...place, entityId: 'b' })).toBeNull();
  });
});
