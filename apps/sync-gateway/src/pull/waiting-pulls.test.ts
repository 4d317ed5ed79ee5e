import { describe, expect, it, jest } from '@jest/globals';
import { WaitingPulls, type WaitEnd, type WaitOptions } from './waiting-pulls.ts';

const device = { tenantId: 't1', userId: 'u1', deviceId: 'd1' };

function wait(waiting: WaitingPulls, changes: Partial<WaitOptions> = {}): Promise<WaitEnd> {
  return waiting.wait({
    device,
    scopes: ['course:a'],
    waitMs: 30_000,
    isQuiet: () => true,
    signal: new AbortController().signal,
    ...changes,
  });
}

describe('a waiting pull', () => {
  it.each([
    [{ scopes: [{ tenantId: 't1', scope: 'course:a' }] }],
    [{ users: [{ tenantId: 't1', userId: 'u1' }] }],
    [{ devices: [device] }],
    [{ everything: true }],
  ])('is woken by news that concern it: %j', async (news) => {
    const waiting = new WaitingPulls(10);
    const end = wait(waiting);
    waiting.notice({
      scopes: [
        { tenantId: 't2', scope: 'course:a' },
        { tenantId: 't1', scope: 'course:b' },
      ],
    });
    waiting.notice({ users: [{ tenantId: 't1', userId: 'u2' }], devices: [{ ...device, deviceId: 'd2' }] });
    expect(waiting.size).toBe(1);
    waiting.notice(news);
    expect(await end).toBe('news');
    expect(waiting.size).toBe(0);
  });

  it('is woken by a look when what it stands on is no longer certain', async () => {
    const waiting = new WaitingPulls(10);
    let quiet = true;
    const end = wait(waiting, { isQuiet: () => quiet });
    waiting.look();
    expect(waiting.size).toBe(1);
    quiet = false;
    waiting.look();
    expect(await end).toBe('news');
  });

  it('ends for the other reasons', async () => {
    const waiting = new WaitingPulls(10);
    expect(await wait(waiting, { waitMs: 1 })).toBe('timeout');
    const gone = new AbortController();
    const left = wait(waiting, { signal: gone.signal });
    gone.abort();
    expect(await left).toBe('gone');
    expect(await wait(waiting, { signal: gone.signal })).toBe('gone');
    const revoked = wait(waiting);
    waiting.end({ ...device, deviceId: 'd2' }, 'revoked');
    waiting.end(device, 'revoked');
    expect(await revoked).toBe('revoked');
    const draining = wait(waiting);
    waiting.drain();
    expect(await draining).toBe('draining');
    expect(await wait(waiting)).toBe('draining');
    expect(waiting.size).toBe(0);
  });

  it('takes room of which there is only so much', () => {
    const waiting = new WaitingPulls(1);
    expect(waiting.noRoom(device)).toBeNull();
    void wait(waiting);
    expect(waiting.noRoom({ ...device, deviceId: 'd2' })).toBe('replica');
    expect(waiting.has(device)).toBe(true);
    waiting.drain();
    expect(waiting.noRoom({ ...device, deviceId: 'd2' })).toBeNull();
    expect(waiting.has(device)).toBe(false);
  });

  it('stands beside seven others of its device, and the oldest of them makes room for more', async () => {
    jest.useFakeTimers();
    const waiting = new WaitingPulls(100);
    const ends: (WaitEnd | undefined)[] = [];
    const begin = (waitMs = 30_000): void => {
      const place = ends.push(undefined) - 1;
      void wait(waiting, { waitMs }).then((why) => (ends[place] = why));
    };
    for (let count = 0; count < 8; count += 1) begin();
    await jest.advanceTimersByTimeAsync(6_000);
    expect(ends).toEqual(Array(8).fill(undefined));
    begin();
    await jest.advanceTimersByTimeAsync(0);
    expect(ends.slice(0, 2)).toEqual(['replaced', undefined]);
    // All windows come again at once, and again: whoever is young stays for five seconds, and far too many
    // are refused.
    for (let count = 0; count < 14; count += 1) begin();
    expect(waiting.noRoom(device)).toBeNull();
    begin();
    expect(waiting.noRoom(device)).toBe('device');
    await jest.advanceTimersByTimeAsync(0);
    expect(ends.filter((why) => why === 'replaced')).toHaveLength(8);
    await jest.advanceTimersByTimeAsync(5_000);
    expect([waiting.size, waiting.noRoom(device)]).toEqual([8, null]);
    jest.useRealTimers();
  });
});
