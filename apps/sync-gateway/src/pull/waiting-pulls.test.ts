import { describe, expect, it } from '@jest/globals';
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
    waiting.revoke({ ...device, deviceId: 'd2' });
    waiting.revoke(device);
    expect(await revoked).toBe('revoked');
    const older = wait(waiting);
    const newer = wait(waiting);
    expect(await older).toBe('replaced');
    waiting.drain();
    expect(await newer).toBe('draining');
    expect(await wait(waiting)).toBe('draining');
    expect(waiting.size).toBe(0);
  });

  it('takes a place of which there are only so many, one per device', () => {
    const waiting = new WaitingPulls(1);
    void wait(waiting);
    expect(waiting.isFull(device)).toBe(false);
    expect(waiting.isFull({ ...device, deviceId: 'd2' })).toBe(true);
    expect(waiting.has(device)).toBe(true);
    waiting.drain();
    expect(waiting.isFull({ ...device, deviceId: 'd2' })).toBe(false);
  });
});
