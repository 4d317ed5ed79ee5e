import type { StateVector } from '../state/state-vector.ts';
import type { ClientRun, UpdateOutline } from './read-update.ts';
import { RefusedUpdateError } from './refusal.ts';

/** One struct that waits for another clientID's struct of the same update. */
interface Wait {
  /** Of the struct that waits. */
  readonly clock: number;
  /** Whose struct it waits for: an index in `runs`. */
  readonly run: number;
  /** The clock of that struct. */
  readonly until: number;
}

const incomplete = (detail: string): RefusedUpdateError =>
  new RefusedUpdateError('update_incomplete', detail);

/**
 * Every reference must lead to something that the document or the update has, and structs that wait for each
 * other across clientIDs must not wait in a circle: Yjs would hold such structs back for ever, while state
 * vectors say that they are there.
 *
 * The time is linear in the number of references (but for a binary search), however many clientIDs an update
 * has.
 * @throws RefusedUpdateError `update_incomplete`
 */
export function assertResolvable({ runs, references }: UpdateOutline, stateVector: StateVector): void {
  const places = new Map(runs.map(({ client }, index) => [client, index]));
  const waits = new Map<number, Wait[]>();
  for (let at = 0; at < references.length; at += 4) {
    const client = references[at + 2] ?? 0;
    const until = references[at + 3] ?? 0;
    if (until < (stateVector.get(client) ?? 0)) continue;
    const run = places.get(client);
    if (run === undefined || until >= (runs[run]?.to ?? 0)) {
      throw incomplete(`a struct refers to clock ${until} of clientID ${client}`);
    }
    const index = references[at] ?? 0;
    const wait = { clock: references[at + 1] ?? 0, run, until };
    const list = waits.get(index);
    if (list) list.push(wait);
    else waits.set(index, [wait]);
  }
  assertNoCircle(waits);
}

/**
 * Every deletion must be of something that the document or the update has. @throws RefusedUpdateError
 * `update_incomplete`
 */
export function assertDeletesExist({ runs, deletes }: UpdateOutline, stateVector: StateVector): void {
  const written = new Map(runs.map((run): [number, ClientRun] => [run.client, run]));
  for (let at = 0; at < deletes.length; at += 3) {
    const client = deletes[at] ?? 0;
    const end = (deletes[at + 1] ?? 0) + (deletes[at + 2] ?? 0);
    if (end <= Math.max(stateVector.get(client) ?? 0, written.get(client)?.to ?? 0)) continue;
    throw incomplete(`it deletes what clientID ${client} has not written`);
  }
}

/**
 * Depth first: a clientID passes its waits in their order, and first lets the one that it waits for pass as
 * many as it needs. One that is needed by somebody whom it needs itself stands in a circle.
 * @param waits by index in `runs`, in the order of their clocks
 */
function assertNoCircle(waits: ReadonlyMap<number, readonly Wait[]>): void {
  const passed = new Map<number, number>();
  for (const [first, list] of waits) {
    const goals = [{ run: first, count: list.length }];
    const open = new Set([first]);
    for (let goal = goals.at(-1); goal; goal = goals.at(-1)) {
      const at = passed.get(goal.run) ?? 0;
      const wait = at < goal.count ? waits.get(goal.run)?.[at] : undefined;
      if (!wait) {
        open.delete(goal.run);
        goals.pop();
        continue;
      }
      const count = countUntil(waits.get(wait.run) ?? [], wait.until);
      if ((passed.get(wait.run) ?? 0) >= count) passed.set(goal.run, at + 1);
      else if (open.has(wait.run)) throw incomplete('its structs wait for each other in a circle');
      else {
        open.add(wait.run);
        goals.push({ run: wait.run, count });
      }
    }
  }
}

/** How many waits there are up to a clock, by binary search. */
function countUntil(list: readonly Wait[], clock: number): number {
  let [from, to] = [0, list.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((list[middle]?.clock ?? Infinity) <= clock) from = middle + 1;
    else to = middle;
  }
  return from;
}
