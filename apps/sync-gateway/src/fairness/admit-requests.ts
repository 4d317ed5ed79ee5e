import { DEVICE_OPERATIONS, type Priority } from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';
import type { FastifyRequest } from 'fastify';
import { announcedBytes } from '../edge/body-limits.ts';
import type { FairnessMetrics } from './fairness-metrics.ts';
import type { FairPlaces } from './fair-places.ts';
import { MeasureLoad } from './measure-load.ts';
import { PresentTenants } from './present-tenants.ts';
import type { PoolWaits } from './pool-waits.ts';
import { costOf, RequestWork } from './request-work.ts';
import { isShed, nextPlaces, nextShedding, NOTHING_SHED, type Strain } from './shed-load.ts';
import { TokenBuckets, type WorkLimit } from './token-buckets.ts';

/** Who sends a request; administrators have no device. */
export interface Who {
  readonly tenantId: string;
  readonly userId: string;
  readonly deviceId: string | null;
}

/** Whom a limit is for; the narrowest first. */
export const LIMITED = ['device', 'user', 'tenant'] as const;
export type Limited = (typeof LIMITED)[number];

export interface AdmissionOptions {
  readonly limits: Readonly<Record<Limited, WorkLimit>>;
  readonly places: FairPlaces;
  /** Fewer places than this there never are, more than this neither. */
  readonly bounds: { readonly least: number; readonly most: number };
  /** From which strain on the lowest priority is refused. */
  readonly shedFrom: Strain;
  readonly poolWaits: PoolWaits;
  readonly metrics: FairnessMetrics;
}

/** Longer than most requests take, however late the gateway is. */
const PRESENT_MS = 30_000;
/** Seconds; a little different for each, because those who are refused together come back together. */
const SHED_RETRY = { least: 2, spread: 4 };

/** The priority of a route, by `METHOD /path/:param` as Fastify writes it. */
const PRIORITIES_BY_ROUTE: ReadonlyMap<string, Priority> = new Map(
  DEVICE_OPERATIONS.map(({ method, path, priority }) => [
    `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`,
    priority,
  ]),
);

/** Fastify answers HEAD wherever there is a GET, by the same handler. */
function priorityOf(request: FastifyRequest): Priority {
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  return PRIORITIES_BY_ROUTE.get(`${method} ${request.routeOptions.url ?? ''}`) ?? 'admin';
}

/**
 * Who of those who have proven who they are is let in now. In this order:
 *
 * 1. Whoever has caused more work than his device, user or tenant may is told to come back (429).
 * 2. While the gateway itself is late, the lowest priorities are told to come back (503).
 * 3. The rest gets places in turn, tenant by tenant ({@link FairPlaces}).
 *
 * All of it is about this replica: nothing is shared between replicas, so a device gets as much from each.
 */
export class AdmitRequests {
  readonly places: FairPlaces;
  readonly #options: AdmissionOptions;
  readonly #buckets: Readonly<Record<Limited, TokenBuckets>>;
  readonly #meter: MeasureLoad;
  readonly #tenants = new PresentTenants(PRESENT_MS);
  #shedding = NOTHING_SHED;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.places = options.places;
    const { device, user, tenant } = options.limits;
    this.#buckets = {
      device: new TokenBuckets(device),
      user: new TokenBuckets(user),
      tenant: new TokenBuckets(tenant),
    };
    this.#meter = new MeasureLoad(options.poolWaits, (strain) => this.#adapt(strain));
  }

  stop(): void {
    this.#meter.stop();
  }

  /**
   * The caller is known; the body has not been read.
   * @throws ProblemError `rate_limited` or `unavailable`, both with Retry-After
   */
  arrive(request: FastifyRequest, who: Who): RequestWork {
    this.#meter.noteRequest();
    this.#tenants.note(who.tenantId, performance.now());
    this.#refuseIndebted(who);
    this.refuseShed(priorityOf(request));
    const expectedMs = costOf({ request: 1, bodyKib: announcedBytes(request) / 1_024 });
    this.charge(who, expectedMs);
    return new RequestWork(this, who, expectedMs);
  }

  /** @param workMs milliseconds of work */
  charge(who: Who, workMs: number): void {
    const nowMs = performance.now();
    for (const limited of LIMITED) {
      const key = keyOf(limited, who);
      if (key !== null) this.#buckets[limited].charge(key, workMs, nowMs);
    }
  }

  /**
   * What it is worth to have had a place for so long: one of the most that there can be. So all places
   * together are worth a second in each second, however slow whatever they wait for is.
   */
  shareOf(heldMs: number): number {
    return heldMs / this.#options.bounds.most;
  }

  /** @throws ProblemError `unavailable` while requests of this priority are refused */
  refuseShed(priority: Priority): void {
    if (!isShed(priority, this.#shedding)) return;
    this.#options.metrics.shed(priority);
    const seconds = SHED_RETRY.least + Math.floor(Math.random() * SHED_RETRY.spread);
    throw new ProblemError('unavailable', 'The server has too much to do for such requests now', {
      headers: { 'retry-after': String(seconds) },
    });
  }

  /** How many buckets are in memory. */
  bucketCount(limited: Limited): number {
    return this.#buckets[limited].size;
  }

  #refuseIndebted(who: Who): void {
    const nowMs = performance.now();
    for (const limited of LIMITED) {
      const key = keyOf(limited, who);
      const debtMs = key === null ? 0 : this.#buckets[limited].debtMs(key, nowMs);
      if (debtMs === 0) continue;
      this.#options.metrics.limited(limited);
      throw new ProblemError('rate_limited', `The ${limited} has caused too much work`, {
        headers: { 'retry-after': String(Math.ceil(debtMs / 1_000)) },
      });
    }
  }

  /** @returns whether nobody is refused now */
  #adapt(strain: Strain): boolean {
    const { places, bounds, shedFrom, metrics } = this.#options;
    this.#shedding = nextShedding(this.#shedding, strain, shedFrom);
    places.places = nextPlaces(places.places, strain, this.#tenants.count(performance.now()), bounds);
    metrics.looked(strain, this.#shedding.level);
    return this.#shedding.level === NOTHING_SHED.level;
  }
}

/** Ids hold no NUL, so no two share a key; a device is that of its user. */
function keyOf(limited: Limited, { tenantId, userId, deviceId }: Who): string | null {
  if (limited === 'tenant') return tenantId;
  if (limited === 'user') return `${tenantId}\0${userId}`;
  return deviceId === null ? null : `${tenantId}\0${userId}\0${deviceId}`;
}
