import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ClockOffset, type TimeSample } from './clock-offset.ts';

/** One answer: the server read its clock `sinceMs` after it was sent, which is at most when it came. */
function sample(offsetMs: number, sentMs: number, sinceMs: number, restMs: number): TimeSample {
  const serverMs = sentMs + sinceMs + offsetMs;
  return { sentMs, receivedMs: sentMs + sinceMs + restMs, serverMs, precisionMs: 1 };
}

const delay = fc.integer({ min: 0, max: 40_000 });
const answers = fc.array(fc.tuple(delay, delay), { minLength: 1, maxLength: 20 });
const offsets = fc.integer({ min: -1e12, max: 1e12 });

describe('ClockOffset', () => {
  it('knows nothing before the first answer', () => {
    expect(new ClockOffset().offsetMs).toBeNull();
  });

  it('is off by half of the quickest round trip at the most, whichever way was the slow one', () => {
    fc.assert(
      fc.property(offsets, answers, (offsetMs, delays) => {
        const clock = new ClockOffset();
        delays.forEach(([since, rest], at) => clock.note(sample(offsetMs, at * 100_000, since, rest)));
        const quickest = Math.min(...delays.map(([since, rest]) => since + rest));
        expect(Math.abs((clock.offsetMs ?? NaN) - offsetMs)).toBeLessThanOrEqual(quickest / 2 + 1);
      }),
    );
  });

  it('follows at once when a clock is set, and holds on through long polls', () => {
    const clock = new ClockOffset();
    clock.note(sample(500, 0, 10, 10));
    clock.note(sample(500, 1_000, 100, 30_000));
    expect(clock.offsetMs).toBe(501);
    clock.note(sample(-86_400_000, 50_000, 10, 10));
    expect(clock.offsetMs).toBe(-86_400_000 + 1);
  });

  it('takes a clock that was set while a request was under way', () => {
    const clock = new ClockOffset();
    clock.note({ sentMs: 10_000, receivedMs: 4_000, serverMs: 20_000, precisionMs: 1 });
    expect(clock.offsetMs).toBe(13_001);
  });
});
