/** What is known of a device; times are epoch milliseconds of the server. */
export interface DeviceObservation {
  readonly lastSeenAtMs: number | null;
  /** The device's own count of mutations not yet pushed. */
  readonly pendingCount: number;
  readonly oldestPendingAtMs: number | null;
  /** Server time minus device time, as last measured; `null` when the device never said its time. */
  readonly clockOffsetMs: number | null;
  /** The scopes whose cursor is behind, and since when. */
  readonly staleScopes: readonly { readonly scope: string; readonly behindSinceMs: number }[];
  readonly fullResyncs7d: number;
  readonly digestMismatches7d: number;
  readonly revokedAtMs: number | null;
  /** Holds a live socket or an open long poll. */
  readonly connected: boolean;
  /** The revoked scopes whose purge the device has not acked. */
  readonly purgesOwed: readonly string[];
}

/** From which value on (inclusive) an observation becomes a reason. */
export interface HealthThresholds {
  readonly offlineAfterMs: number;
  readonly staleAfterMs: number;
  readonly scopeLaggingAfterMs: number;
  readonly scopeStaleAfterMs: number;
  readonly pendingLaggingCount: number;
  readonly pendingAtRiskCount: number;
  readonly oldestPendingLaggingMs: number;
  readonly oldestPendingAtRiskMs: number;
  readonly clockOffsetMs: number;
  readonly fullResyncsAtRisk: number;
  readonly digestMismatchesAtRisk: number;
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/**
 * Defaults: retention of a device's unsent work is what "at risk" protects, a week offline is a normal
 * journey.
 */
export const DEFAULT_HEALTH_THRESHOLDS: HealthThresholds = {
  offlineAfterMs: 5 * MINUTE_MS,
  staleAfterMs: 7 * DAY_MS,
  scopeLaggingAfterMs: MINUTE_MS,
  scopeStaleAfterMs: DAY_MS,
  pendingLaggingCount: 100,
  pendingAtRiskCount: 5_000,
  oldestPendingLaggingMs: 10 * MINUTE_MS,
  oldestPendingAtRiskMs: 14 * DAY_MS,
  clockOffsetMs: 5 * MINUTE_MS,
  fullResyncsAtRisk: 3,
  digestMismatchesAtRisk: 2,
};

/** From harmless to final; a device has the worst status among its reasons. */
export type DeviceStatus = 'healthy' | 'lagging' | 'offline' | 'stale' | 'at_risk' | 'revoked';

/** Why a device has its status. */
export type HealthReasonCode =
  | 'scope_lagging'
  | 'backlog'
  | 'oldest_pending'
  | 'clock_offset'
  | 'purge_owed'
  | 'never_seen'
  | 'not_connected'
  | 'not_seen'
  | 'scope_stale'
  | 'backlog_at_risk'
  | 'oldest_pending_at_risk'
  | 'full_resyncs'
  | 'digest_mismatches'
  | 'revoked';

/** One reason; `detail` is for people and carries the numbers. */
export interface HealthReason {
  readonly code: HealthReasonCode;
  readonly detail: string;
}

/** The verdict on a device. */
export interface DeviceAssessment {
  readonly status: DeviceStatus;
  /** Worst first; empty exactly when healthy. */
  readonly reasons: readonly HealthReason[];
}

// The table: which status a reason alone gives. Total in its types.
const STATUS_OF: Readonly<Record<HealthReasonCode, DeviceStatus>> = {
  scope_lagging: 'lagging',
  backlog: 'lagging',
  oldest_pending: 'lagging',
  clock_offset: 'lagging',
  purge_owed: 'lagging',
  never_seen: 'offline',
  not_connected: 'offline',
  not_seen: 'stale',
  scope_stale: 'stale',
  backlog_at_risk: 'at_risk',
  oldest_pending_at_risk: 'at_risk',
  full_resyncs: 'at_risk',
  digest_mismatches: 'at_risk',
  revoked: 'revoked',
};

const SEVERITY: readonly DeviceStatus[] = ['healthy', 'lagging', 'offline', 'stale', 'at_risk', 'revoked'];

/**
 * Judges a device. The status is that of its worst reason:
 *
 * | status  | because |
 * |---------|---------|
 * | revoked | the identity service took its binding away |
 * | at_risk | work may be lost or data is wrong: huge or very old backlog, repeated full resyncs or digest mismatches |
 * | stale   | not seen, or a scope behind, for long |
 * | offline | never seen, or not connected and not seen for minutes |
 * | lagging | a scope behind, a backlog, a purge not confirmed, a clock far off: usually passes by itself |
 * | healthy | none of these |
 */
export function assessDevice(
  observation: DeviceObservation,
  nowMs: number,
  thresholds: HealthThresholds,
): DeviceAssessment {
  const reasons = [
    ...assessBinding(observation),
    ...assessIntegrity(observation, thresholds),
    ...assessBacklog(observation, nowMs, thresholds),
    ...assessPresence(observation, nowMs, thresholds),
    ...assessScopes(observation, nowMs, thresholds),
  ];
  const severityOf = ({ code }: HealthReason): number => SEVERITY.indexOf(STATUS_OF[code]);
  const sorted = reasons.sort((a, b) => severityOf(b) - severityOf(a));
  const worst = sorted[0];
  return { status: worst ? STATUS_OF[worst.code] : 'healthy', reasons: sorted };
}

function assessBinding({ revokedAtMs, purgesOwed }: DeviceObservation): HealthReason[] {
  const reasons: HealthReason[] = [];
  if (revokedAtMs !== null) {
    reasons.push({ code: 'revoked', detail: `revoked at ${new Date(revokedAtMs).toISOString()}` });
  }
  if (purgesOwed.length > 0) {
    reasons.push({ code: 'purge_owed', detail: `has not confirmed the purge of ${listOf(purgesOwed)}` });
  }
  return reasons;
}

function assessIntegrity(observation: DeviceObservation, thresholds: HealthThresholds): HealthReason[] {
  const { fullResyncs7d, digestMismatches7d, clockOffsetMs } = observation;
  const reasons: HealthReason[] = [];
  if (fullResyncs7d >= thresholds.fullResyncsAtRisk) {
    reasons.push({ code: 'full_resyncs', detail: `${fullResyncs7d} full resyncs in 7 days` });
  }
  if (digestMismatches7d >= thresholds.digestMismatchesAtRisk) {
    reasons.push({ code: 'digest_mismatches', detail: `${digestMismatches7d} digest mismatches in 7 days` });
  }
  if (clockOffsetMs !== null && Math.abs(clockOffsetMs) >= thresholds.clockOffsetMs) {
    const direction = clockOffsetMs > 0 ? 'behind' : 'ahead of';
    const detail = `its time is ${formatDuration(Math.abs(clockOffsetMs))} ${direction} the server's`;
    reasons.push({ code: 'clock_offset', detail });
  }
  return reasons;
}

function assessBacklog(
  { pendingCount, oldestPendingAtMs }: DeviceObservation,
  nowMs: number,
  thresholds: HealthThresholds,
): HealthReason[] {
  const reasons: HealthReason[] = [];
  const waiting = `${pendingCount} mutations wait to be pushed`;
  if (pendingCount >= thresholds.pendingAtRiskCount)
    reasons.push({ code: 'backlog_at_risk', detail: waiting });
  else if (pendingCount >= thresholds.pendingLaggingCount) reasons.push({ code: 'backlog', detail: waiting });
  // A device that reports no pending work has none, whatever time it left behind.
  if (oldestPendingAtMs === null || pendingCount === 0) return reasons;
  const ageMs = nowMs - oldestPendingAtMs;
  const detail = `its oldest unpushed mutation is ${formatDuration(ageMs)} old`;
  if (ageMs >= thresholds.oldestPendingAtRiskMs) reasons.push({ code: 'oldest_pending_at_risk', detail });
  else if (ageMs >= thresholds.oldestPendingLaggingMs) reasons.push({ code: 'oldest_pending', detail });
  return reasons;
}

function assessPresence(
  { lastSeenAtMs, connected }: DeviceObservation,
  nowMs: number,
  thresholds: HealthThresholds,
): HealthReason[] {
  if (connected) return [];
  if (lastSeenAtMs === null) return [{ code: 'never_seen', detail: 'has never synced' }];
  const silentMs = nowMs - lastSeenAtMs;
  const detail = `last seen ${formatDuration(silentMs)} ago`;
  if (silentMs >= thresholds.staleAfterMs) return [{ code: 'not_seen', detail }];
  return silentMs >= thresholds.offlineAfterMs ? [{ code: 'not_connected', detail }] : [];
}

function assessScopes(
  { staleScopes }: DeviceObservation,
  nowMs: number,
  thresholds: HealthThresholds,
): HealthReason[] {
  const behind = (fromMs: number, toMs: number): string[] => {
    return staleScopes
      .filter(({ behindSinceMs }) => nowMs - behindSinceMs >= fromMs && nowMs - behindSinceMs < toMs)
      .map(({ scope, behindSinceMs }) => `${scope} (${formatDuration(nowMs - behindSinceMs)})`);
  };
  const stale = behind(thresholds.scopeStaleAfterMs, Infinity);
  const lagging = behind(thresholds.scopeLaggingAfterMs, thresholds.scopeStaleAfterMs);
  return [
    ...(stale.length > 0 ? [{ code: 'scope_stale' as const, detail: `behind in ${listOf(stale)}` }] : []),
    ...(lagging.length > 0
      ? [{ code: 'scope_lagging' as const, detail: `behind in ${listOf(lagging)}` }]
      : []),
  ];
}

/** At most five names: a device may hold a hundred scopes, and a detail is one line. */
function listOf(names: readonly string[]): string {
  const more = names.length - 5;
  return more > 0 ? `${names.slice(0, 5).join(', ')} and ${more} more` : names.join(', ');
}

/** The largest whole unit: `45 s`, `12 min`, `3 h`, `9 d`. */
function formatDuration(durationMs: number): string {
  if (durationMs < MINUTE_MS) return `${Math.max(0, Math.floor(durationMs / 1000))} s`;
  if (durationMs < 60 * MINUTE_MS) return `${Math.floor(durationMs / MINUTE_MS)} min`;
  if (durationMs < DAY_MS) return `${Math.floor(durationMs / (60 * MINUTE_MS))} h`;
  return `${Math.floor(durationMs / DAY_MS)} d`;
}
