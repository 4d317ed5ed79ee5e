import { describe, expect, it } from '@jest/globals';
import { runRestarts } from './run-restarts.ts';

/** The long series is `npm run restarts`. */
const ROUNDS = 2;
// Several times what the balancer needs to notice, also on a busy machine.
process.env['DRAIN_READINESS_MS'] = '2000';

describe('a restart of every process in turns, behind a balancer', () => {
  it('fails no request, ends no socket without a word, loses and doubles nothing', async () => {
    const result = await runRestarts({ rounds: ROUNDS, otherRoot: undefined, out: () => undefined });
    expect(result.failures).toEqual([]);
    expect(result.reopenedSockets).toBeGreaterThan(0);
    expect(result.mutations).toBeGreaterThan(100);
    // That what lost is in a record would be true where nothing lost.
    expect(result.records).toBeGreaterThan(0);
    // A restart without a socket or a write under way would prove nothing.
    expect(result.waves).toHaveLength(ROUNDS * 3);
    const idle = result.waves.filter(({ openSockets, mutations }) => openSockets === 0 || mutations === 0);
    expect(idle).toEqual([]);
  });
});
