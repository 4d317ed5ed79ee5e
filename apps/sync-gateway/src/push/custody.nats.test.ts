import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { playScenario } from './testing/custody/play-scenario.ts';
import { scenarioOf } from './testing/custody/scenario.ts';
import { tellFailure } from './testing/custody/tell-failure.ts';
import { type PushRig, startPushRig } from './testing/push-rig.ts';

/** Each has found a defect. `npm run custody` asks for others, and for many. */
const SEEDS = [10, 18, 24];
const RUN_LIMIT_MS = 120_000;

let rig: PushRig;
beforeAll(async () => {
  // Long enough for an answer, short enough that a lost one costs little.
  rig = await startPushRig({ ownerTimeoutMs: 120 });
});
afterAll(() => rig.stop());

describe('two devices, repeated and concurrent pushes, an owner that fails, late projections', () => {
  it.each(seeds())(
    'every mutation ends once and nothing unseen is overwritten unrecorded: seed %s',
    async (seed) => {
      const history = await playScenario(rig, scenarioOf(seed));
      expect(tellFailure(seed, history)).toBe('');
      // A run in which nothing was lost to anybody proves nothing.
      const statuses = new Set([...history.outcomes.values()].map(({ status }) => status));
      expect([...statuses]).toEqual(expect.arrayContaining(['merged', 'superseded']));
    },
    RUN_LIMIT_MS,
  );
});

function seeds(): readonly number[] {
  const [runs, first] = [process.env['CUSTODY_RUNS'], process.env['CUSTODY_SEED']].map(Number);
  if (!runs || first === undefined) return SEEDS;
  return Array.from({ length: runs }, (_, place) => first + place);
}
