import { describe, expect, it } from '@jest/globals';
import type { StackLine } from '@sync/e2e-device';
import { playSoak } from './soak/play-soak.ts';
import { runCrashes } from './run-crashes.ts';
import { CRASH_TARGETS } from './targets.ts';

const RUNS = 20;
/** The long series is `npm run crash`. */
const SEED = 18;

describe('kill -9 at every named place between receive and answer', () => {
  it('loses nothing that was acknowledged and applies nothing twice', async () => {
    const urls = JSON.parse(process.env['STACK_JSON'] ?? '{}') as StackLine;
    const lines: string[] = [];
    const runs = await runCrashes({ urls, runs: RUNS, seed: SEED, out: (line) => lines.push(line) });
    const places = new Set(runs.map(({ target }) => `${target.service} ${target.place}`));
    expect(places.size).toBe(CRASH_TARGETS.length);
    // A series that kills nobody proves nothing; only a second batch may fail to come where the first held
    // everything.
    expect(lines.filter((line) => !line.includes('killed') && !line.includes(' at batch.'))).toEqual([]);
    expect(lines.filter((line) => line.includes('killed')).length).toBeGreaterThan(RUNS * 0.7);
  });
});

describe('random work on a platform that is killed all the time', () => {
  it('loses nothing, applies nothing twice, and looks the same on all devices in the end', async () => {
    const urls = JSON.parse(process.env['STACK_JSON'] ?? '{}') as StackLine;
    // The long one is `npm run soak`.
    const atLeast = { writes: 100, restarts: 1, offline: 1, serverChanges: 1, kills: 3 };
    const played = await playSoak({ urls, durationMs: 20_000, seed: SEED, atLeast });
    for (const [what, count] of Object.entries(atLeast)) {
      expect(played[what as keyof typeof atLeast]).toBeGreaterThanOrEqual(count);
    }
  });
});
