/** Who asks: somebody of a tenant, a device or an administrator. */
export interface Asker {
  readonly tenantId: string;
  readonly callerId: string;
}

/** One that stands in line. */
export interface Waiting {
  readonly asker: Asker;
  /** What it is expected to cost, in milliseconds of work. */
  readonly costMs: number;
  /** What it keeps in memory meanwhile. */
  readonly bytes: number;
}

interface TenantFlow<T> {
  /** How far the tenant has got: the work it had, on the clock that all tenants share. */
  virtualMs: number;
  /** Of those who were taken and have not ended. */
  inside: number;
  waiting: number;
  bytes: number;
  /** By caller, whoever is next first. */
  readonly callers: Map<string, Set<T>>;
}

/** So many tenants are remembered before those are looked for that are not needed any more. */
const SPARE_TENANTS = 256;
/** Beyond it, whoever has nothing here is forgotten, and may be a request ahead of its share. */
const MAX_TENANTS = 10_000;

/**
 * A line that is fair between tenants, and inside of a tenant between callers.
 *
 * Between tenants it is start-time fair queueing (Goyal, Vin and Cheng, 1996): each tenant has a virtual time
 * that grows by the cost of what was taken for it, and the one that is furthest behind is next. A tenant that
 * had nothing here begins at the present virtual time, so that nobody saves up. Callers of one tenant take
 * turns, one request each.
 *
 * **Invariant**: between two of a tenant that waits all the time, another tenant gets no more work than that
 * tenant, and one request. Taking is linear in the tenants that wait.
 */
export class FairLine<T extends Waiting> {
  readonly #flows = new Map<string, TenantFlow<T>>();
  /** Those of them in which somebody waits. */
  readonly #lines = new Set<TenantFlow<T>>();
  /** Where the tenant that was taken last began. */
  #virtualMs = 0;
  #waiting = 0;
  #bytes = 0;
  #inside = 0;
  #forgetAt = SPARE_TENANTS;

  get waiting(): number {
    return this.#waiting;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Tenants in memory, for tests of its bound. */
  get tenants(): number {
    return this.#flows.size;
  }

  add(one: T): void {
    const { tenantId, callerId } = one.asker;
    let flow = this.#flows.get(tenantId);
    if (!flow) {
      flow = { virtualMs: 0, inside: 0, waiting: 0, bytes: 0, callers: new Map() };
      this.#flows.set(tenantId, flow);
    }
    if (flow.waiting === 0) flow.virtualMs = Math.max(flow.virtualMs, this.#virtualMs);
    const queue = flow.callers.get(callerId) ?? new Set();
    queue.add(one);
    flow.callers.set(callerId, queue);
    this.#count(flow, one, 1);
  }

  /**
   * Takes whoever is next out of the line, until `end` inside.
   * @param mostPerTenant a tenant that has so many inside already is passed over
   */
  take(mostPerTenant: number): T | undefined {
    let next: TenantFlow<T> | undefined;
    for (const flow of this.#lines) {
      if (flow.inside >= mostPerTenant) continue;
      if (!next || isBefore(flow, next)) next = flow;
    }
    if (!next) return undefined;
    const [caller] = next.callers;
    const [one] = caller?.[1] ?? [];
    if (!caller || !one) return undefined;
    this.#remove(next, one);
    // Whoever had a turn goes behind the other callers.
    const [callerId, queue] = caller;
    if (next.callers.delete(callerId) && queue.size > 0) next.callers.set(callerId, queue);
    this.#virtualMs = Math.max(this.#virtualMs, next.virtualMs);
    next.virtualMs += one.costMs;
    next.inside += 1;
    this.#inside += 1;
    return one;
  }

  /** @param moreMs what it cost beyond what was expected, or less than that */
  end({ tenantId }: Asker, moreMs = 0): void {
    const flow = this.#flows.get(tenantId);
    if (!flow) return;
    flow.inside -= 1;
    this.#inside -= 1;
    flow.virtualMs += moreMs;
    if (this.#flows.size > this.#forgetAt) this.#forget();
  }

  /** One that does not wait any longer. @returns false when it is not in line */
  leave(one: T): boolean {
    const flow = this.#flows.get(one.asker.tenantId);
    if (!flow?.callers.get(one.asker.callerId)?.has(one)) return false;
    this.#remove(flow, one);
    return true;
  }

  /**
   * Who has to go when the line is too long: the newest of the busiest caller of the tenant that has the most
   * of it.
   */
  newestOfHeaviest(by: 'waiting' | 'bytes'): T | undefined {
    let heaviest: TenantFlow<T> | undefined;
    for (const flow of this.#lines) if (!heaviest || flow[by] > heaviest[by]) heaviest = flow;
    let busiest: Set<T> | undefined;
    for (const queue of heaviest?.callers.values() ?? []) {
      if (!busiest || queue.size >= busiest.size) busiest = queue;
    }
    return [...(busiest ?? [])].at(-1);
  }

  #remove(flow: TenantFlow<T>, one: T): void {
    const { callerId } = one.asker;
    const queue = flow.callers.get(callerId);
    queue?.delete(one);
    if (queue?.size === 0) flow.callers.delete(callerId);
    this.#count(flow, one, -1);
  }

  #count(flow: TenantFlow<T>, { bytes }: T, by: 1 | -1): void {
    flow.waiting += by;
    flow.bytes += by * bytes;
    if (flow.waiting > 0) this.#lines.add(flow);
    else this.#lines.delete(flow);
    this.#waiting += by;
    this.#bytes += by * bytes;
  }

  /** Tenants with nothing here, who would begin at the present virtual time anyway. */
  #forget(): void {
    const all = this.#flows.size > MAX_TENANTS || this.#inside + this.#waiting === 0;
    for (const [tenantId, flow] of this.#flows) {
      const idle = flow.waiting === 0 && flow.inside === 0;
      if (idle && (all || flow.virtualMs <= this.#virtualMs)) this.#flows.delete(tenantId);
    }
    this.#forgetAt = Math.max(SPARE_TENANTS, 2 * this.#flows.size);
  }
}

/** Of two that have got as far, the one that has less here now. */
function isBefore(one: TenantFlow<unknown>, other: TenantFlow<unknown>): boolean {
  return one.virtualMs < other.virtualMs || (one.virtualMs === other.virtualMs && one.inside < other.inside);
}
