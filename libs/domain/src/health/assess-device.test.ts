import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DEFAULT_HEALTH_THRESHOLDS, assessDevice } from './assess-device.ts';
import type { DeviceAssessment, DeviceObservation, HealthThresholds } from './assess-device.ts';

const NOW_MS = Date.parse('2026-03-01T12:00:00Z');
const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const HEALTHY: DeviceObservation = {
  lastSeenAtMs: NOW_MS - SECOND_MS,
  pendingCount: 0,
  oldestPendingAtMs: null,
  clockOffsetMs: 0,
  staleScopes: [],
  fullResyncs7d: 0,
  digestMismatches7d: 0,
  revokedAtMs: null,
  connected: false,
  purgesOwed: [],
};

function assess(
  fields: Partial<DeviceObservation>,
  thresholds?: Partial<HealthThresholds>,
): DeviceAssessment {
  return assessDevice({ ...HEALTHY, ...fields }, NOW_MS, { ...DEFAULT_HEALTH_THRESHOLDS, ...thresholds });
}

const ago = (ageMs: number): number => NOW_MS - ageMs;
const behind = (scope: string, ageMs: number): DeviceObservation['staleScopes'][number] => ({
  scope,
  behindSinceMs: ago(ageMs),
});

describe('assessDevice', () => {
  it('finds nothing wrong with a healthy device', () => {
    expect(assess({})).toEqual({ status: 'healthy', reasons: [] });
  });

  // Each row: just at the threshold (a reason) and just below (none).
  it.each<[string, string, Partial<DeviceObservation>, Partial<DeviceObservation>, string]>([
    [
      'offline',
      'not_connected',
      { lastSeenAtMs: ago(5 * MINUTE_MS) },
      { lastSeenAtMs: ago(5 * MINUTE_MS - 1) },
      'last seen 5 min ago',
    ],
    ['lagging', 'backlog', { pendingCount: 100 }, { pendingCount: 99 }, '100 mutations wait to be pushed'],
    [
      'lagging',
      'oldest_pending',
      { pendingCount: 1, oldestPendingAtMs: ago(10 * MINUTE_MS) },
      { pendingCount: 1, oldestPendingAtMs: ago(10 * MINUTE_MS - 1) },
      'its oldest unpushed mutation is 10 min old',
    ],
    [
      'lagging',
      'clock_offset',
      { clockOffsetMs: 5 * MINUTE_MS },
      { clockOffsetMs: 5 * MINUTE_MS - 1 },
      "its time is 5 min behind the server's",
    ],
    [
      'lagging',
      'clock_offset',
      { clockOffsetMs: -5 * MINUTE_MS },
      { clockOffsetMs: 1 - 5 * MINUTE_MS },
      "its time is 5 min ahead of the server's",
    ],
    [
      'lagging',
      'scope_lagging',
      { staleScopes: [behind('user:u1', MINUTE_MS)] },
      { staleScopes: [behind('user:u1', MINUTE_MS - 1)] },
      'behind in user:u1 (1 min)',
    ],
    [
      'lagging',
      'purge_owed',
      { purgesOwed: ['course:c1', 'course:c2'] },
      { purgesOwed: [] },
      'has not confirmed the purge of course:c1, course:c2',
    ],
    ['at_risk', 'full_resyncs', { fullResyncs7d: 3 }, { fullResyncs7d: 2 }, '3 full resyncs in 7 days'],
    [
      'at_risk',
      'digest_mismatches',
      { digestMismatches7d: 2 },
      { digestMismatches7d: 1 },
      '2 digest mismatches in 7 days',
    ],
    [
      'revoked',
      'revoked',
      { revokedAtMs: NOW_MS },
      { revokedAtMs: null },
      'revoked at 2026-03-01T12:00:00.000Z',
    ],
  ])('%s: %s', (status, code, at, below, detail) => {
    expect(assess(at)).toEqual({ status, reasons: [{ code, detail }] });
    expect(assess(below)).toEqual({ status: 'healthy', reasons: [] });
  });

  // Each row: where the milder reason turns into the graver one, and just below.
  it.each<[string, string, string, Partial<DeviceObservation>, Partial<DeviceObservation>]>([
    [
      'stale',
      'not_seen',
      'not_connected',
      { lastSeenAtMs: ago(7 * DAY_MS) },
      { lastSeenAtMs: ago(7 * DAY_MS - 1) },
    ],
    [
      'stale',
      'scope_stale',
      'scope_lagging',
      { staleScopes: [behind('a:b', DAY_MS)] },
      { staleScopes: [behind('a:b', DAY_MS - 1)] },
    ],
    ['at_risk', 'backlog_at_risk', 'backlog', { pendingCount: 5_000 }, { pendingCount: 4_999 }],
    [
      'at_risk',
      'oldest_pending_at_risk',
      'oldest_pending',
      { pendingCount: 1, oldestPendingAtMs: ago(14 * DAY_MS) },
      { pendingCount: 1, oldestPendingAtMs: ago(14 * DAY_MS - 1) },
    ],
  ])('%s: %s, after %s', (status, grave, mild, at, below) => {
    expect(assess(at)).toMatchObject({ status, reasons: [{ code: grave }] });
    expect(assess(at).reasons).toHaveLength(1);
    expect(assess(below).reasons).toMatchObject([{ code: mild }]);
  });

  it('calls a device that never synced offline', () => {
    expect(assess({ lastSeenAtMs: null })).toEqual({
      status: 'offline',
      reasons: [{ code: 'never_seen', detail: 'has never synced' }],
    });
  });

  it('asks nothing of presence while the device is connected', () => {
    expect(assess({ connected: true, lastSeenAtMs: ago(30 * DAY_MS) }).status).toBe('healthy');
    expect(assess({ connected: true, lastSeenAtMs: null }).status).toBe('healthy');
  });

  it('has no opinion on a clock that it never measured', () => {
    expect(assess({ clockOffsetMs: null }).reasons).toEqual([]);
  });

  it('ignores the age of pending work when none is pending', () => {
    expect(assess({ pendingCount: 0, oldestPendingAtMs: 0 }).status).toBe('healthy');
  });

  it('takes the status of the worst reason and lists the worst first', () => {
    const verdict = assess({
      revokedAtMs: 0,
      purgesOwed: ['a:b'],
      fullResyncs7d: 9,
      pendingCount: 200,
      oldestPendingAtMs: ago(30 * DAY_MS),
      lastSeenAtMs: ago(8 * DAY_MS),
      staleScopes: [behind('c:d', 2 * DAY_MS), behind('e:f', 2 * MINUTE_MS)],
    });
    expect(verdict.status).toBe('revoked');
    expect(verdict.reasons.map(({ code }) => code)).toEqual([
      'revoked',
      'full_resyncs',
      'oldest_pending_at_risk',
      'not_seen',
      'scope_stale',
      'purge_owed',
      'backlog',
      'scope_lagging',
    ]);
  });

  it('names at most five scopes', () => {
    const purgesOwed = ['a:1', 'a:2', 'a:3', 'a:4', 'a:5'];
    expect(assess({ purgesOwed }).reasons[0]?.detail).toBe(
      'has not confirmed the purge of a:1, a:2, a:3, a:4, a:5',
    );
    expect(assess({ purgesOwed: [...purgesOwed, 'a:6', 'a:7'] }).reasons[0]?.detail).toBe(
      'has not confirmed the purge of a:1, a:2, a:3, a:4, a:5 and 2 more',
    );
  });

  it.each([
    [-1, '0 s'],
    [999, '0 s'],
    [59_999, '59 s'],
    [MINUTE_MS, '1 min'],
    [HOUR_MS - 1, '59 min'],
    [HOUR_MS, '1 h'],
    [DAY_MS - 1, '23 h'],
    [DAY_MS, '1 d'],
    [400 * DAY_MS, '400 d'],
  ])('writes %d ms as %s', (ageMs, text) => {
    const always = { offlineAfterMs: -Infinity, staleAfterMs: Infinity };
    expect(assess({ lastSeenAtMs: ago(ageMs) }, always).reasons[0]?.detail).toBe(`last seen ${text} ago`);
  });

  it('never calls a device healthy with a reason, nor sick without one', () => {
    const time = fc.option(fc.integer({ min: NOW_MS - 30 * DAY_MS, max: NOW_MS }));
    const observation: fc.Arbitrary<DeviceObservation> = fc.record({
      lastSeenAtMs: time,
      pendingCount: fc.nat({ max: 10_000 }),
      oldestPendingAtMs: time,
      clockOffsetMs: fc.option(fc.integer()),
      staleScopes: fc.array(
        fc.record({ scope: fc.constant('a:b'), behindSinceMs: fc.integer({ min: 0, max: NOW_MS }) }),
      ),
      fullResyncs7d: fc.nat({ max: 5 }),
      digestMismatches7d: fc.nat({ max: 5 }),
      revokedAtMs: fc.option(fc.constant(NOW_MS)),
      connected: fc.boolean(),
      purgesOwed: fc.array(fc.constant('a:b')),
    });
    fc.assert(
      fc.property(observation, (seen) => {
        const { status, reasons } = assessDevice(seen, NOW_MS, DEFAULT_HEALTH_THRESHOLDS);
        expect(status === 'healthy').toBe(reasons.length === 0);
        expect(status === 'revoked').toBe(seen.revokedAtMs !== null);
        expect(new Set(reasons.map(({ code }) => code)).size).toBe(reasons.length);
      }),
    );
  });
});
