import { describe, expect, it } from '@jest/globals';
import { type OwnChanges, withOwnEntry } from './own-entry.ts';

describe('the own entry, as a decision', () => {
  const MOST = Number.MAX_SAFE_INTEGER;
  const NONE: OwnChanges = {
    ...{ stands: 0, answered: 0, isRecent: false, isLate: false, mayForget: false, forgotten: false },
  };
  type Decided = 'ask' | 'missing' | 'as it came' | readonly [base: number | null, counter: number];

  it.each<[string, number, Partial<OwnChanges>, Decided]>([
    ['nothing is there', 0, {}, 'as it came'],
    ['it counts all', 2, { stands: 2, answered: 2 }, 'as it came'],
    ['it counts more than there are answers', 2, { stands: 1, answered: 1 }, 'missing'],
    ['it counts more, and nobody has asked', 2, { stands: 1, answered: null }, 'ask'],
    ['it counts what was answered', 2, { stands: 1, answered: 2 }, 'as it came'],
    ['it counts from anew before anything is there', 0, { mayForget: true, forgotten: null }, 'as it came'],
    ['it counts from anew', 2, { stands: 2, mayForget: true, forgotten: null }, 'ask'],
    [
      'it counts from anew in the same push',
      ...([2, { stands: 2, mayForget: true, forgotten: null, isRecent: true }, 'as it came'] as const),
    ],
    ['it has forgotten nothing that is there', 0, { forgotten: true }, 'as it came'],
    ['it has forgotten, but counts all', 2, { stands: 2, forgotten: true }, 'as it came'],
    ['it has forgotten all', 0, { stands: 2, answered: 5, forgotten: true }, [null, 6]],
    ['it has forgotten some', 1, { stands: 2, answered: 2, forgotten: true, mayForget: true }, [null, 3]],
    ['it leaves out what it may have forgotten', 0, { stands: 2, forgotten: null }, 'ask'],
    ['it leaves out what it has just made', 0, { stands: 2, forgotten: null, isRecent: true }, [2, 3]],
    ['it leaves out what it knows', 0, { stands: 2, answered: 5 }, [2, 3]],
    ['it was late', 0, { stands: 2, isLate: true }, [null, 3]],
    ['it counts fewer', 1, { stands: 2 }, [1, 3]],
    ['no number is left', 0, { stands: MOST }, 'as it came'],
    ['one number is left', 0, { stands: MOST - 1 }, [MOST - 1, MOST]],
  ])('%s', (_what, counts, own, decided) => {
    const others = { 's:learning': 1 };
    const baseClock = counts === 0 ? others : { ...others, 'd:d1': counts };
    const mutation = { baseClock, counter: counts + 1, clock: { ...others, 'd:d1': counts + 1 } };
    const told = withOwnEntry(mutation, 'd1', { ...NONE, ...own });
    if (decided === 'as it came') expect(told).toBe(mutation);
    else if (typeof decided === 'string') expect(told).toBe(decided);
    else {
      const [base, counter] = decided;
      const made = base === null ? others : { ...others, 'd:d1': base };
      const clock = { ...mutation.baseClock, 'd:d1': counter };
      expect(told).toEqual({ ...mutation, counter, clock, baseClock: made });
    }
  });
});
