import { describe, expect, it } from '@jest/globals';
import { platform } from '../kit/platform.ts';
import type { BrokenServer } from './broken-server.ts';
import { BROKEN_SERVERS } from './broken-servers.ts';
import { breakingServer, catchAll } from './catch-broken.ts';

/** Two cores, and one of them has the platform. */
const AT_ONCE = 2;

describe('a server that is broken on purpose', () => {
  it('is caught by the check of the rule that it breaks, and one that is not broken by none', async () => {
    const few = BROKEN_SERVERS.filter(({ isShort }) => isShort);
    const [first] = few;
    if (!first) throw new Error('there is no broken server');
    const mended: BrokenServer = { ...first, breaks: () => ({}) };
    const catches = await catchAll(breakingServer(platform()), [...few, mended], AT_ONCE);
    expect(catches.filter(({ verdict }) => verdict !== 'caught')).toEqual([
      { broken: mended, verdict: 'missed', why: 'the fault was never shown to the check' },
    ]);
    expect(catches.length).toBeGreaterThan(5);
  }, 300_000);
});
