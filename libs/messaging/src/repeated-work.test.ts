import { describe, expect, it } from '@jest/globals';
import type { MessagingLogger } from './ports.ts';
import { Pruning, repeatedUpkeep, RepeatedWork } from './repeated-work.ts';

describe('repeated work', () => {
  it('goes on pass after pass, never two at once, until it is stopped in the middle of a pause', async () => {
    let [passes, running, most] = [0, 0, 0];
    let third: () => void = () => undefined;
    const reached = new Promise<void>((resolve) => (third = resolve));
    const work = new RepeatedWork(async () => {
      running += 1;
      most = Math.max(most, running);
      await Promise.resolve();
      running -= 1;
      passes += 1;
      if (passes < 3) return 0;
      third();
      return 3_600_000;
    });
    work.start();
    work.start();
    await reached;
    await work.stop();
    expect([passes, most]).toEqual([3, 1]);
  });

  it('waits for the pass that runs', async () => {
    let finish: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (finish = resolve));
    const order: string[] = [];
    const work = new RepeatedWork(async () => {
      await held;
      order.push('done');
      return 0;
    });
    work.start();
    const stopped = work.stop().then(() => order.push('stopped'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(order).toEqual([]);
    finish();
    await stopped;
    expect(order).toEqual(['done', 'stopped']);
  });

  it('goes on earlier when it is asked to, in a pause and in a pass', async () => {
    let work: RepeatedWork | undefined = undefined;
    let [passes, finish] = [0, (): void => undefined];
    const done = new Promise<void>((resolve) => (finish = resolve));
    work = new RepeatedWork(async () => {
      passes += 1;
      if (passes === 1) work?.within(1);
      else finish();
      return 3_600_000;
    }, 3_600_000);
    work.start();
    work.within(7_200_000);
    work.within(1);
    await done;
    await work.stop();
    expect(passes).toBe(2);
  });

  it('that never started is stopped at once', async () => {
    await expect(new RepeatedWork(() => Promise.resolve(0)).stop()).resolves.toBeUndefined();
  });
});

describe('upkeep', () => {
  it('is done soon after the start, and again after a pass that failed', async () => {
    const { promise: again, resolve } = Promise.withResolvers<undefined>();
    const logged: string[] = [];
    const warn = (_fields: object, message: string): void => void logged.push(message);
    let passes = 0;
    const work = repeatedUpkeep(
      () => {
        passes += 1;
        if (passes === 2) resolve(undefined);
        return passes === 1 ? Promise.reject(new Error('no')) : Promise.resolve();
      },
      {
        everyMs: 1,
        firstWithinMs: 1,
        logger: { warn } as unknown as MessagingLogger,
        failure: 'tried again',
      },
    );
    work.start();
    await again;
    await work.stop();
    expect(logged).toEqual(['tried again']);
  });

  it('that has not begun yet is stopped at once', async () => {
    let passes = 0;
    const work = new RepeatedWork(async () => (passes += 1), 3_600_000);
    work.start();
    await work.stop();
    expect(passes).toBe(0);
  });
});

describe('pruning', () => {
  const options = { everyMs: 3_600_000, logger: {} as MessagingLogger, failure: 'not now' };

  it('removes batch after batch until one is not full, each time anew', async () => {
    const left = [2, 2, 1, 2, 0];
    const pruning = new Pruning((one) => one.inBatches(2, async () => left.shift() ?? 0), options);
    expect(await pruning.prune()).toBe(5);
    expect(await pruning.prune()).toBe(2);
    expect(left).toEqual([]);
  });

  it('begins no further batch once it is stopped', async () => {
    let batches = 0;
    const pruning: Pruning = new Pruning(async (one) => {
      await one.inBatches(1, async () => {
        batches += 1;
        void one.stop();
        return 1;
      });
      await one.inBatches(1, async () => (batches += 1));
    }, options);
    expect(await pruning.prune()).toBe(1);
    expect([batches, pruning.stopped]).toEqual([1, true]);
  });
});
