import type { Work } from '../outcome/settlement.ts';

/**
 * A quarter of an hour: the order of two requests is lost for seconds, or until a device has its network
 * again.
 */
const PATIENCE_MS = 15 * 60_000;

/**
 * Whether a mutation still waits for one that it builds on (by `baseClock` or `dependsOn`) and that has not
 * come: the request that has it may have been overtaken, or lost and will be sent again.
 */
export function isPatient({ receivedAtMs }: Pick<Work, 'receivedAtMs'>, nowMs: number): boolean {
  return nowMs - receivedAtMs < PATIENCE_MS;
}

/**
 * Changes the order of a lane where what comes next counts more changes of its device than there are: then
 * the one that counts the fewest goes first.
 * @param waiting the lane, changed in its place
 * @param from where the lane goes on
 * @param stands how many changes of the device there are
 */
export function bringForward(waiting: Work[], from: number, stands: number): void {
  const first = waiting[from];
  if (!first || first.mutation.counter <= stands + 1) return;
  const rest = waiting.slice(from);
  const earliest = rest.reduce((a, b) => (b.mutation.counter < a.mutation.counter ? b : a));
  waiting.splice(from + rest.indexOf(earliest), 1);
  waiting.splice(from, 0, earliest);
}

/** Where a mutation stands in its lane. */
interface LaneMate {
  readonly mutationId: string;
  readonly entityType: string;
  readonly entityId: string;
  readonly dependsOn: readonly string[];
}

/**
 * Mutations in their order of arrival, but for those that arrived before a mutation of the same entity that
 * they depend on: these come behind it. In one push such a place is a circle; over two it is an order that
 * was lost.
 */
export function afterWhatTheyNeed<T extends LaneMate>(mutations: readonly T[]): T[] {
  const ordered: T[] = [];
  for (const mutation of mutations) {
    const before = ordered.findIndex((other) => {
      const sameLane = other.entityType === mutation.entityType && other.entityId === mutation.entityId;
      return sameLane && other.dependsOn.includes(mutation.mutationId);
    });
    if (before < 0) ordered.push(mutation);
    else ordered.splice(before, 0, mutation);
  }
  return ordered;
}
