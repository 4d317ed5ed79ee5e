import { type DeviceKey, deviceKeyText } from '../access/device-bindings.ts';
import { FactMemory } from './fact-memory.ts';
import { type News, type ScopeKey, scopeKeyText, userKeyText } from './gateway-news.ts';

/**
 * A scope's head as of some moment; a scope into which nothing was projected has origin '', epoch '0',
 * sequence '0'.
 */
export interface KnownHead {
  readonly origin: string;
  readonly epoch: string;
  readonly sequence: string;
  /** Decimal text of the number of live entities. */
  readonly count: string;
  readonly hash: string;
}

/** A device for which a pull had nothing but deltas to say: no outcomes, no revoked scope, no directive. */
export interface KnownDevice {
  readonly device: DeviceKey;
  /** What the database says of its rows as long as nothing changes. */
  readonly fingerprint: string;
  /**
   * The scopes that were asked for, held by the user and by the device, with the generation of the device's
   * copy.
   */
  readonly generations: ReadonlyMap<string, string>;
  /** Held by the user, unknown to the device. */
  readonly granted: readonly string[];
  /** When the facts above were last true for certain, ms of the monotonic clock as all times here. */
  checkedAtMs: number;
}

/** When a reading began, in terms of the memory; see {@link FactMemory}. */
export interface ReadTurn {
  readonly heads: number;
  readonly devices: number;
  readonly sweeps: number;
}

const MAX_HEADS = 200_000;
const MAX_DEVICES = 100_000;
/** One sweep a second, and half of one as slack: older knowledge is not used. */
const FRESH_MS = 1_500;
/** Longer than the longest wait, so that what a waiting pull stands on stays. */
const UNUSED_MS = 35_000;

/**
 * What this replica knows without asking the database, so that an empty pull asks nothing: scope heads, and
 * devices in good order.
 *
 * Everything here has been read within the last second and a half, or confirmed by a sweep within it; what
 * changed is forgotten, never patched, so the memory cannot diverge, it can only know less. **Invariant**:
 * `quietHeads` answers only what a pull from the database would have answered at some moment of the last 1.5
 * s.
 */
export class GatewayMemory {
  readonly #heads = new FactMemory<KnownHead>(MAX_HEADS);
  readonly #devices = new FactMemory<KnownDevice>(MAX_DEVICES);
  readonly #devicesOfUser = new Map<string, Set<string>>();
  #sweptAtMs = Number.NEGATIVE_INFINITY;
  #sweeps = 0;
  /** By tenant: the first of the sweeps since which none has passed it over. */
  #sweptSince: ReadonlyMap<string, number> = new Map();

  get sizes(): { readonly heads: number; readonly devices: number } {
    return { heads: this.#heads.size, devices: this.#devices.size };
  }

  /** Take it before a read whose result is to be remembered. */
  get turn(): ReadTurn {
    return { heads: this.#heads.turn, devices: this.#devices.turn, sweeps: this.#sweeps };
  }

  rememberHead(scope: ScopeKey, head: KnownHead, turn: ReadTurn, nowMs: number): void {
    if (!this.#isSwept(scope.tenantId, turn)) return;
    this.#heads.remember(scopeKeyText(scope), head, turn.heads, nowMs);
  }

  rememberDevice(known: KnownDevice, turn: ReadTurn, nowMs: number): void {
    if (!this.#isSwept(known.device.tenantId, turn)) return;
    const key = deviceKeyText(known.device);
    const user = userKeyText(known.device);
    this.#devices.remember(key, known, turn.devices, nowMs, user);
    if (this.#devices.find(key, nowMs) !== known) return;
    const siblings = this.#devicesOfUser.get(user) ?? new Set();
    siblings.add(key);
    this.#devicesOfUser.set(user, siblings);
  }

  /** What is known of a device, if it is certain enough to be used. */
  findDevice(device: DeviceKey, nowMs: number): KnownDevice | null {
    if (nowMs - this.#sweptAtMs > FRESH_MS) return null;
    const known = this.#devices.find(deviceKeyText(device), nowMs);
    return known && nowMs - known.checkedAtMs <= FRESH_MS ? known : null;
  }

  findHead(scope: ScopeKey, nowMs: number): KnownHead | null {
    if (nowMs - this.#sweptAtMs > FRESH_MS) return null;
    return this.#heads.find(scopeKeyText(scope), nowMs) ?? null;
  }

  /** Forgets what the news says has changed. */
  forget(news: News, nowMs: number): void {
    if (news.everything) {
      this.#heads.forgetAll();
      this.#devices.forgetAll();
      this.#devicesOfUser.clear();
      return;
    }
    for (const scope of news.scopes ?? []) this.#heads.forget(scopeKeyText(scope), nowMs);
    for (const device of news.devices ?? []) this.#devices.forget(deviceKeyText(device), nowMs);
    for (const user of news.users ?? []) {
      const key = userKeyText(user);
      for (const device of this.#devicesOfUser.get(key) ?? []) this.#devices.forget(device, nowMs);
      this.#devicesOfUser.delete(key);
      this.#devices.forget(key, nowMs);
    }
  }

  /** Devices to be looked at by the next sweep; what nobody uses any more leaves first. */
  devicesInUse(nowMs: number): KnownDevice[] {
    this.#heads.dropUnused(nowMs - UNUSED_MS, nowMs);
    this.#devices.dropUnused(nowMs - UNUSED_MS, nowMs);
    const inUse = [...this.#devices.entries()].map(([, fact]) => fact.value);
    for (const [user, devices] of this.#devicesOfUser) {
      for (const key of devices) if (!this.#devices.has(key)) devices.delete(key);
      if (devices.size === 0) this.#devicesOfUser.delete(user);
    }
    return inUse;
  }

  /** Tenants of everything that is known, for the sweep's row level security. */
  tenants(): Set<string> {
    const tenants = new Set<string>();
    for (const [key] of this.#heads.entries()) tenants.add(tenantOf(key));
    for (const [, { value }] of this.#devices.entries()) tenants.add(value.device.tenantId);
    return tenants;
  }

  /**
   * A sweep that began then has found everything that changed before it in these tenants. What was read of
   * others meanwhile is forgotten: no sweep will look for its changes again.
   */
  confirmSweep(beganAtMs: number, tenants: ReadonlySet<string>): void {
    this.#sweptAtMs = beganAtMs;
    this.#sweeps += 1;
    const before = this.#sweptSince;
    this.#sweptSince = new Map([...tenants].map((tenant) => [tenant, before.get(tenant) ?? this.#sweeps]));
    for (const [key] of this.#heads.entries()) {
      if (!tenants.has(tenantOf(key))) this.#heads.forget(key, beganAtMs);
    }
    for (const [key, { value }] of this.#devices.entries()) {
      if (!tenants.has(value.device.tenantId)) this.#devices.forget(key, beganAtMs);
    }
  }

  /** Whether no sweep has passed over changes of the tenant since a reading began. */
  #isSwept(tenantId: string, { sweeps }: ReadTurn): boolean {
    return sweeps === this.#sweeps || (this.#sweptSince.get(tenantId) ?? Infinity) <= sweeps + 1;
  }
}

function tenantOf(key: string): string {
  return key.slice(0, key.indexOf('\0'));
}
