import { type Priority, PRIORITIES } from '@sync/protocol';

/** How long the gateway itself is waited for. */
export interface Strain {
  /** Mean time by which the event loop is late, milliseconds. */
  readonly loopDelayMs: number;
  /** Mean time for which requests waited for a connection to Postgres, milliseconds. */
  readonly poolWaitMs: number;
}

/**
 * How many priorities are refused, the lowest first: 0 is none, 4 is all.
 *
 * ```
 *        strain ≥ (level + 1) × limit, twice in a row
 *   0 ─────────────────────────▶ 1 ─▶ 2 ─▶ 3 ─▶ 4
 *     ◀─────────────────────────
 *        strain < level × limit ÷ 2
 * ```
 */
export interface Shedding {
  readonly level: number;
  /** The strain has asked for one level more once: a single pause of the process sheds nothing. */
  readonly pressed: boolean;
}

export const NOTHING_SHED: Shedding = { level: 0, pressed: false };

/**
 * What is refused after one more look at the load.
 * @param limits from which on the lowest priority is refused; the next one at twice as much, and so on
 */
export function nextShedding(before: Shedding, strain: Strain, limits: Strain): Shedding {
  const { level, pressed } = before;
  const pressure = Math.max(strain.loopDelayMs / limits.loopDelayMs, strain.poolWaitMs / limits.poolWaitMs);
  if (level < PRIORITIES.length && pressure >= level + 1) {
    return pressed ? { level: level + 1, pressed: false } : { level, pressed: true };
  }
  if (pressure < level / 2) return { level: level - 1, pressed: false };
  return { level, pressed: false };
}

/** Whether requests of a priority are refused now. */
export function isShed(priority: Priority, { level }: Shedding): boolean {
  return PRIORITIES.indexOf(priority) >= PRIORITIES.length - level;
}

/** Between tenants that are here together, none should wait longer for the other than this. */
const AIM_MS = 25;
const SHRINK = 0.75;
const GROW = 0.1;

/**
 * How many requests are worked on at once. One tenant alone may have all places: more at once get more done
 * together. Where several tenants are here, whoever comes waits behind those who are inside, so places become
 * fewer while the gateway is late, and come back step by step (additive increase, multiplicative decrease).
 *
 * @param tenants that are here
 * @param bounds what there is at least, and at most
 */
export function nextPlaces(
  places: number,
  strain: Strain,
  tenants: number,
  bounds: { readonly least: number; readonly most: number },
): number {
  if (tenants < 2) return bounds.most;
  const late = Math.max(strain.loopDelayMs, strain.poolWaitMs) > AIM_MS;
  const next = late ? Math.floor(places * SHRINK) : places + Math.ceil(bounds.most * GROW);
  return Math.min(bounds.most, Math.max(bounds.least, next));
}
