import * as Y from 'yjs';
import { appendVarUint } from '../state/state-vector.ts';
import { readUpdate, type StructRun } from './read-update.ts';

/**
 * A struct as Yjs reads it from bytes: its parent is a root's name or an id, or nothing where its origins
 * tell.
 */
export type WrittenStruct = Y.Item | Y.GC;

interface WrittenRun extends StructRun {
  readonly update: Uint8Array;
}

/**
 * The content of updates of which each adds to what the others have, such as a document's state and what was
 * admitted since, by clientID and clock. Only structs that are asked for are built; the bytes are looked
 * through once, when somebody asks first.
 */
export class WrittenContent {
  private readonly waiting: Uint8Array[];
  private readonly runs = new Map<number, WrittenRun[]>();

  constructor(updates: readonly Uint8Array[]) {
    this.waiting = [...updates];
  }

  add(update: Uint8Array): void {
    this.waiting.push(update);
  }

  /**
   * The structs that have clocks of `from` (inclusive) to `to` (exclusive), in their order; there may be
   * gaps.
   */
  structsOf(client: number, from: number, to: number): WrittenStruct[] {
    if (this.waiting.length > 0) this.index();
    const runs = this.runs.get(client) ?? [];
    const found: WrittenStruct[] = [];
    const last = countBefore(runs, to, (run) => run.from);
    for (let at = countBefore(runs, from + 1, (run) => run.to); at < last; at += 1) {
      const run = runs[at];
      if (run) found.push(...structsIn(run.update, run, from, to));
    }
    return found;
  }

  private index(): void {
    const changed = new Set<WrittenRun[]>();
    for (const update of this.waiting.splice(0)) {
      for (const run of readUpdate(update).runs) {
        const list = this.runs.get(run.client) ?? [];
        if (list.length === 0) this.runs.set(run.client, list);
        list.push({ ...run, update });
        changed.add(list);
      }
    }
    for (const list of changed) list.sort((a, b) => a.from - b.from);
  }
}

/** Builds the structs of a run that have clocks of `from` to `to`, and no others. */
export function structsIn(written: Uint8Array, run: StructRun, from: number, to: number): WrittenStruct[] {
  const { client, clocks, starts, end } = run;
  const first = Math.max(0, countBefore(clocks, from + 1, Number) - 1);
  const last = countBefore(clocks, to, Number);
  if (last <= first) return [];
  const alone: number[] = [1];
  for (const value of [last - first, client, clocks[first] ?? 0]) appendVarUint(alone, value);
  const part = written.subarray(starts[first], starts[last] ?? end);
  const update = new Uint8Array(alone.length + part.length + 1);
  update.set(alone);
  // The 0 behind it: no deletions.
  update.set(part, alone.length);
  return Y.decodeUpdate(update).structs;
}

/** How many of a list in ascending order are below a value, by binary search. */
function countBefore<T>(list: readonly T[], value: number, of: (one: T) => number): number {
  let [from, to] = [0, list.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (of(list[middle] as T) < value) from = middle + 1;
    else to = middle;
  }
  return from;
}
