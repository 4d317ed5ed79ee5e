import { type Metrics, ProblemError, TokenVerifier } from '@sync/service-kit';
import { authenticateAdmin } from './access/authenticate-admin.ts';
import { AuthenticateDevice } from './access/authenticate-device.ts';
import { DeviceBindings } from './access/device-bindings.ts';
import { FollowRevocations } from './access/follow-revocations.ts';
import { allowOrigins } from './edge/allow-origins.ts';
import { installEdge } from './edge/install-edge.ts';
import { AdmitRequests } from './fairness/admit-requests.ts';
import { type FairnessMetrics, fairnessMetrics } from './fairness/fairness-metrics.ts';
import { FairPlaces } from './fairness/fair-places.ts';
import { UnprovenConnections } from './edge/unproven-connections.ts';
import type { Foundation, Wired } from './wire-foundation.ts';

export interface WiredAccess extends Wired {
  readonly bindings: DeviceBindings;
  readonly revocations: FollowRevocations;
  readonly connections: UnprovenConnections;
}

/**
 * Who may come in: token, signature and device binding on every `/sync/v1/` route, a role that fits the
 * operation on `/admin/`.
 */
export function wireAccess(foundation: Foundation): WiredAccess {
  const { config, nats, database, requestDatabase, logger, relay, metrics } = foundation;
  const graceMs = config.identityGraceHours * 3_600_000;
  const tokens = new TokenVerifier({
    jwksUrl: `${config.identityUrl}/.well-known/jwks.json`,
    issuer: config.tokenIssuer,
    audience: config.tokenAudience,
    keysGraceMs: graceMs,
  });
  const unverified = metrics.counter(
    'sync_unverified_requests_total',
    'Requests of devices that went on by an earlier verification because the identity service did not ' +
      'answer.',
  );
  const bindings = new DeviceBindings({
    ...{ nats, database: requestDatabase, graceMs },
    onUnverified: () => unverified.inc(),
  });
  const revocations = new FollowRevocations({
    nats,
    database,
    bindings,
    logger,
    onEvents: () => relay.kick(),
  });
  // The notice of its revocation may have been missed; reporting it twice is no event.
  bindings.onRevoked = (device) => void revocations.note(device, new Date().toISOString());
  const devices = new AuthenticateDevice(tokens, bindings);
  const connections = new UnprovenConnections(config.maxUnprovenConnections);
  const fairness = fairnessMetrics(metrics);
  const admission = admissionOf(foundation, fairness);
  const counted = countingRefusals(metrics);
  return {
    bindings,
    revocations,
    connections,
    prepare: (app) => {
      allowOrigins(app, config.corsOrigins);
      installEdge(app, {
        ...{ limitMs: config.requestLimitMs, logger, connections, admission },
        reading: {
          answerReadMs: config.answerReadMs,
          leastBytesPerSecond: config.answerReadBytesPerSecond,
        },
        onSlowReader: () => fairness.slowReader(),
        authenticateDevice: (request) => counted(devices.authenticate(request)),
        verifyBody: (signed, rawBody) => counted(devices.withBody(signed, rawBody)),
        authenticateAdmin: (request) => counted(authenticateAdmin(tokens, request, config.platformTenant)),
      });
    },
    start: () => revocations.start(),
    drain: () => {
      admission.stop();
      revocations.stop();
    },
  };
}

/** Runs a check of a caller, and counts whom it refuses. */
function countingRefusals(metrics: Metrics): <T>(work: Promise<T>) => Promise<T> {
  const refusals = metrics.counter(
    'sync_refused_requests_total',
    'Requests refused before their handler, by code.',
    ['code'],
  );
  return async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      refusals.inc({ code: error instanceof ProblemError ? error.code : 'internal' });
      throw error;
    }
  };
}

/** Fewer would let a tenant whose owning service is slow wait for itself. */
const LEAST_PLACES = 8;
/** Of requests that wait in line; bodies have 1 MiB at the most. */
const MAX_LINE_BYTES = 128 * 1_048_576;

/** Who is let in when: what a device, user and tenant may cause, and how the rest is shared out. */
function admissionOf({ config, poolWaits }: Foundation, metrics: FairnessMetrics): AdmitRequests {
  const most = config.maxRequestsAtWork;
  const places = new FairPlaces({
    places: most,
    maxWaiting: config.maxRequestsInLine,
    maxWaitingBytes: MAX_LINE_BYTES,
    onEnter: (waitedMs) => metrics.entered(waitedMs),
  });
  const admission = new AdmitRequests({
    limits: {
      device: { msPerSecond: config.deviceWorkMsPerSecond, burstMs: config.deviceWorkBurstMs },
      user: { msPerSecond: config.userWorkMsPerSecond, burstMs: config.userWorkBurstMs },
      tenant: { msPerSecond: config.tenantWorkMsPerSecond, burstMs: config.tenantWorkBurstMs },
    },
    bounds: { least: Math.min(LEAST_PLACES, most), most },
    shedFrom: { loopDelayMs: config.shedLoopDelayMs, poolWaitMs: config.shedPoolWaitMs },
    ...{ places, poolWaits, metrics },
  });
  metrics.watch(admission);
  return admission;
}
