import { describe, expect, it } from '@jest/globals';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { AGAIN, GroupedCalls, type ShareOptions } from './grouped-calls.ts';

type Answer = string | typeof AGAIN;

/** Calls whose batches end when the test says so. */
function startCalls(options: Partial<ShareOptions<string, string>> = {}): {
  readonly calls: GroupedCalls<string, string>;
  readonly begun: (readonly string[])[];
  readonly end: (at: number, answers?: readonly Answer[]) => Promise<void>;
  readonly fail: (at: number, error: Error) => Promise<void>;
} {
  const begun: (readonly string[])[] = [];
  const open: PromiseWithResolvers<readonly Answer[]>[] = [];
  const begin = (batch: readonly string[]): Promise<readonly Answer[]> => {
    begun.push(batch);
    const end = Promise.withResolvers<readonly Answer[]>();
    open.push(end);
    return end.promise;
  };
  const calls = new GroupedCalls<string, string>({
    together: begin,
    fits: () => true,
    concernsAll: (error) => String(error) === 'Error: away',
    maxWaitMs: 60_000,
    ...options,
  });
  return {
    calls,
    begun,
    end: async (at, answers) => {
      open[at]?.resolve(answers ?? (begun[at] ?? []).map((call) => `${call}!`));
      await nextTurn();
      await nextTurn();
    },
    fail: async (at, error) => {
      open[at]?.reject(error);
      await nextTurn();
      await nextTurn();
    },
  };
}

describe('GroupedCalls', () => {
  it('begins at once, and lets what comes meanwhile go together', async () => {
    const { calls, begun, end } = startCalls();
    const first = calls.do('a');
    await nextTurn();
    const later = [calls.do('b'), calls.do('c')];
    await nextTurn();
    expect(begun).toEqual([['a']]);
    await end(0);
    expect(begun).toEqual([['a'], ['b', 'c']]);
    await end(1);
    expect(await Promise.all([first, ...later])).toEqual(['a!', 'b!', 'c!']);
  });

  it('does what came in one turn of the event loop together', async () => {
    const { calls, begun, end } = startCalls();
    const both = [calls.do('a'), calls.do('b')];
    await nextTurn();
    expect(begun).toEqual([['a', 'b']]);
    await end(0);
    expect(await Promise.all(both)).toEqual(['a!', 'b!']);
  });

  it('begins beside what does not end', async () => {
    const { calls, begun, end } = startCalls({ maxWaitMs: 1 });
    const slow = calls.do('slow');
    await nextTurn();
    const quick = calls.do('quick');
    for (let tries = 0; begun.length < 2 && tries < 2_000; tries += 1) await sleep(1);
    await end(1);
    expect(await quick).toBe('quick!');
    await end(0);
    expect(await slow).toBe('slow!');
  });

  it('leaves what does not fit to the next batch, beside the first', async () => {
    const { calls, begun, end } = startCalls({ fits: ([first], next) => first?.[0] === next[0] });
    const all = ['a1', 'b1', 'a2'].map((call) => calls.do(call));
    await nextTurn();
    expect(begun).toEqual([['a1', 'a2'], ['b1']]);
    await end(0);
    expect(calls.isIdle).toBe(false);
    await end(1);
    expect(await Promise.all(all)).toEqual(['a1!', 'b1!', 'a2!']);
    expect(calls.isIdle).toBe(true);
  });

  it('does alone what cannot go with others, and answers the others meanwhile', async () => {
    const { calls, begun, end, fail } = startCalls();
    const [good, bad] = [calls.do('good'), calls.do('bad').catch(String)];
    await nextTurn();
    await end(0, ['good!', AGAIN]);
    expect(await good).toBe('good!');
    expect(begun).toEqual([['good', 'bad'], ['bad']]);
    await fail(1, new Error('too bad'));
    expect(await bad).toBe('Error: too bad');
  });

  it('throws for each of them what stops all, and goes on', async () => {
    const { calls, begun, end, fail } = startCalls();
    const both = [calls.do('a'), calls.do('b')].map((call) => call.catch(String));
    await nextTurn();
    await fail(0, new Error('away'));
    expect(await Promise.all(both)).toEqual(['Error: away', 'Error: away']);
    const next = calls.do('c');
    await nextTurn();
    expect(begun).toHaveLength(2);
    await end(1);
    expect(await next).toBe('c!');
  });

  it('does each alone when something else went wrong with all of them', async () => {
    const { calls, begun, end, fail } = startCalls();
    const [good, bad] = ['good', 'bad'].map((call) => calls.do(call).catch(String));
    await nextTurn();
    await fail(0, new Error('one of them'));
    expect(begun).toEqual([['good', 'bad'], ['good'], ['bad']]);
    await end(1);
    await fail(2, new Error('bad'));
    expect(await Promise.all([good, bad])).toEqual(['good!', 'Error: bad']);
  });

  it.each([[1], [2]])('is idle when its callers hear of the last answer, after %i at once', async (count) => {
    const { calls, end } = startCalls();
    const seen = Array.from({ length: count }, () => calls.do('a').then(() => calls.isIdle));
    await nextTurn();
    await end(0);
    expect(await Promise.all(seen)).toEqual(Array(count).fill(true));
  });
});
