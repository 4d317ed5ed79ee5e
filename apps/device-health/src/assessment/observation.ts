import { DEFAULT_HEALTH_THRESHOLDS, type DeviceAssessment, assessDevice } from '@sync/domain';

/** A device as the database knows it; times in epoch milliseconds. */
export interface StoredDevice {
  readonly deviceId: string;
  readonly userId: string;
  readonly lastSeenAtMs: number | null;
  readonly connected: boolean;
  /** Device time minus server time. */
  readonly clockOffsetMs: number | null;
  readonly pending: number | null;
  readonly oldestPendingAtMs: number | null;
  readonly revokedAtMs: number | null;
  readonly status: string;
  readonly updatedAtMs: number;
  readonly fullResyncs: number;
  readonly fullResyncs7d: number;
  readonly digestMismatches7d: number;
  readonly lastFullResyncAtMs: number | null;
  /** Those that look worst. */
  readonly scopes: readonly StoredScope[];
  /** By name, as many as were asked for. */
  readonly scopePage: readonly StoredScope[];
}

export interface StoredScope {
  readonly scope: string;
  readonly ackedSequence: string;
  readonly headSequence: string | null;
  /**
   * A change that the cursor has not, the first one or one less than a minute after it; null when the cursor
   * is up to date.
   */
  readonly behindSinceMs: number | null;
  readonly purgeOwed: boolean;
}

/** Judges a stored device now: silence changes a status as much as an event does. */
export function assess(device: StoredDevice, nowMs: number): DeviceAssessment {
  return assessDevice(
    {
      lastSeenAtMs: device.lastSeenAtMs,
      pendingCount: device.pending ?? 0,
      oldestPendingAtMs: device.oldestPendingAtMs,
      clockOffsetMs: device.clockOffsetMs === null ? null : -device.clockOffsetMs,
      staleScopes: device.scopes.flatMap(({ scope, behindSinceMs, purgeOwed }) =>
        behindSinceMs === null || purgeOwed ? [] : [{ scope, behindSinceMs }],
      ),
      fullResyncs7d: device.fullResyncs7d,
      digestMismatches7d: device.digestMismatches7d,
      revokedAtMs: device.revokedAtMs,
      connected: device.connected,
      purgesOwed: device.scopes.filter(({ purgeOwed }) => purgeOwed).map(({ scope }) => scope),
    },
    nowMs,
    DEFAULT_HEALTH_THRESHOLDS,
  );
}
