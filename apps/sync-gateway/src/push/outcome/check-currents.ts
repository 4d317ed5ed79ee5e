import { readJson } from '@sync/domain';
import { containsClock, type VectorClock } from '@sync/vector-clock';
import type { EntityAddress } from '../../read-model/entity-address.ts';
import { PROJECTION_WAIT_MS, type ReadHeads } from '../../read-model/read-heads.ts';
import type { Author, Settlement, Work } from './settlement.ts';

/** An entity as an outcome is about to show it. */
export interface Shown {
  readonly address: EntityAddress;
  /** JSON text of a RemoteDelta. */
  readonly current: string;
  /** A change of it of which this same push tells; null: none. */
  readonly told: Told | null;
}

/** A change of an entity of which a device is told. */
export interface Told {
  readonly revision: number;
  readonly clock: VectorClock;
}

/**
 * Never shows an entity as it was before a change of which a device was told: one that takes what it is shown
 * would throw away what was just applied. One round trip; more only while the read model is behind.
 * @returns per entity what may be shown; null: not yet, the read model is still behind
 */
export async function checkCurrents(
  heads: ReadHeads,
  author: Author,
  shown: readonly Shown[],
): Promise<(string | null)[]> {
  const toldBefore = await heads.told(
    author,
    shown.map(({ address }) => address),
  );
  // Many may show one large entity: its text is read once.
  const clocks = new Map<string, VectorClock>();
  const wanted = shown.flatMap((one, place) => {
    const told = later(one.told, toldBefore[place] ?? null);
    if (!told || containsClock(clockOf(one.current, clocks), told.clock)) return [];
    return [{ work: { mutation: one.address, one }, revision: told.revision }];
  });
  if (wanted.length === 0) return shown.map(({ current }) => current);
  const found = await heads.waitFor(author, wanted, PROJECTION_WAIT_MS);
  const behind = new Map(wanted.map(({ work }) => [work.one, found.get(work)?.wire ?? null]));
  return shown.map((one) => (behind.has(one) ? (behind.get(one) ?? null) : one.current));
}

/**
 * The newest change of an entity that a push itself tells of.
 * @param settlements in the order of the push
 * @param until only what comes before this work counts: what follows it, its device hears of after it
 */
export function toldIn(
  settlements: Iterable<readonly [Work, Settlement]>,
  { scope, entityType, entityId }: EntityAddress,
  until: Work | null = null,
): Told | null {
  let newest: Told | null = null;
  for (const [work, settlement] of settlements) {
    if (work === until) break;
    const { mutation } = work;
    const same = mutation.entityType === entityType && mutation.entityId === entityId;
    if (!same || mutation.scope !== scope || settlement.kind === 'postponed') continue;
    const { revision, clock } = settlement;
    if (revision && clock) newest = later(newest, { revision, clock });
  }
  return newest;
}

function later(a: Told | null, b: Told | null): Told | null {
  if (!a || !b) return a ?? b;
  return a.revision > b.revision ? a : b;
}

function clockOf(current: string, known: Map<string, VectorClock>): VectorClock {
  const clock = known.get(current) ?? (readJson(current) as { readonly clock: VectorClock }).clock;
  known.set(current, clock);
  return clock;
}
