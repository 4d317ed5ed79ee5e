import { describe, expect, it } from '@jest/globals';
import type { Work } from '../outcome/settlement.ts';
import { absorb, applied, context, workOf } from '../testing/lane-rig.ts';
import { planInSlices } from './plan-in-slices.ts';
import { Lane } from './lane.ts';

const works = (): Work[] => [0, 1, 2, 3].map((own) => workOf({ baseClock: { 'd:d1': own } }));
function laneOf(all: readonly Work[]): Lane {
  const lane = new Lane(null, context);
  lane.extend(all);
  return lane;
}

describe('planning of more than there is time for', () => {
  it('lets others have their turn in between', async () => {
    const lane = laneOf(works());
    const plannedAtTurns: number[] = [];
    const look = (): void => {
      plannedAtTurns.push(lane.submissions.length);
      if (lane.submissions.length < 4) setImmediate(look);
    };
    setImmediate(look);
    await planInSlices([lane], { sliceMs: 0, forMs: Infinity });
    expect(plannedAtTurns).toEqual([1, 2, 3, 4]);
  });

  it('sends what is planned, and goes on behind it', async () => {
    const all = works();
    const [lane, other] = [laneOf(all), laneOf([workOf()])];
    for (const [place, work] of all.entries()) {
      await planInSlices([lane, other], { sliceMs: 0, forMs: 0 });
      expect(lane.submissions.map((one) => one.work)).toEqual([work]);
      expect(other.submissions).toEqual([]);
      absorb(lane, applied(work, place + 1));
    }
    await planInSlices([lane, other], { sliceMs: 0, forMs: 0 });
    expect([lane.done, other.submissions.length]).toEqual([true, 1]);
  });
});
