import { describe, expect, it } from '@jest/globals';
import { IdlePause, Wakeup } from './pacing.ts';

describe('IdlePause', () => {
  it('doubles while nothing is found, and is short again after a find or when it is told to be', () => {
    const pause = new IdlePause({ busyMs: 100, idleMs: 500 });
    expect([false, false, false, false, false].map((found) => pause.after(found))).toEqual([
      100, 200, 400, 500, 500,
    ]);
    expect([true, true, false].map((found) => pause.after(found))).toEqual([100, 100, 200]);
    pause.reset();
    expect([false, false].map((found) => pause.after(found))).toEqual([100, 200]);
  });
});

describe('Wakeup', () => {
  it('returns at once for a wake that came before', async () => {
    const wakeup = new Wakeup();
    wakeup.wake();
    wakeup.wake();
    await wakeup.sleep(3_600_000);
    let returned = false;
    const second = wakeup.sleep(3_600_000).then(() => {
      returned = true;
    });
    await Promise.resolve();
    expect(returned).toBe(false); // two wakes counted as one
    wakeup.wake();
    await second;
    expect(returned).toBe(true);
  });

  it('returns by itself', async () => {
    await expect(new Wakeup().sleep(1)).resolves.toBeUndefined();
  });
});
