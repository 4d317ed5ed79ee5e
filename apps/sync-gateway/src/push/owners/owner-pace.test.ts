import { FIRST_PACE, growBatch, type Pace, quicken, shrinkBatch, slowDown } from './owner-pace.ts';

const after = (pace: Pace, answers: number): Pace =>
  Array.from({ length: answers }).reduce<Pace>((now) => quicken(now), pace);

describe('the pace of an owner', () => {
  it('is halved by what is late, down to one request', () => {
    let pace = FIRST_PACE;
    const limits = Array.from({ length: 7 }, (_none, at) => (pace = slowDown(pace, at + 1, at + 1)).limit);
    expect(limits).toEqual([16, 8, 4, 2, 1, 1, 1]);
  });

  it('is halved once for all that was on its way together', () => {
    const once = slowDown(FIRST_PACE, 10, 100);
    expect(slowDown(once, 99, 200)).toBe(once);
    expect(slowDown(once, 100, 200).limit).toBe(8);
  });

  it('grows by one with each round of answers in time, up to its bound', () => {
    const slow = { limit: 4, shrunkAtMs: 0 };
    expect(after(slow, 4).limit).toBeCloseTo(5, 0);
    expect(Math.floor(after(slow, 20).limit)).toBe(7);
    expect(after(slow, 100_000).limit).toBe(128);
  });
});

describe('the batch of an owner', () => {
  it('is half of what got no answer, down to one mutation', () => {
    expect([shrinkBatch(500, 25), shrinkBatch(12, 500), shrinkBatch(12, 3), shrinkBatch(1, 1)]).toEqual([
      12, 12, 1, 1,
    ]);
  });

  it('doubles when a whole one was answered in time, and grows by one when it was late', () => {
    expect([growBatch(12, 11, true), growBatch(12, 12, true), growBatch(12, 12, false)]).toEqual([
      12, 24, 13,
    ]);
    expect([growBatch(400, 400, true), growBatch(500, 500, false)]).toEqual([500, 500]);
  });
});
