import * as Y from 'yjs';
import { readUpdate } from '../admission/read-update.ts';
import { IncompleteStateError } from '../state/document-state.ts';
import { IdRanges } from './id-ranges.ts';

/** `ours` is what the server has, `theirs` what comes from a device, as in a ConflictRecord. */
export type Side = 'ours' | 'theirs';

/** What one side did since the base, and the other side did not do as well. */
export interface SideChanges {
  readonly inserted: IdRanges;
  /**
   * Content of the base, or of both sides, that this side deleted; the other side may have deleted it too.
   */
  readonly deleted: IdRanges;
}

/**
 * Base and both sides in one document that still has deleted content, and who did what by id. One document
 * and not four: loading is what costs (8 ms for 20,000 edits), and ids tell the versions apart.
 */
export interface MergedDocument {
  readonly doc: Y.Doc;
  readonly ours: SideChanges;
  readonly theirs: SideChanges;
}

/**
 * @param base updates that make up the common base, with the content that was visible then
 * @param ours updates since, or a state that includes the base
 * @param theirs likewise
 * @throws IncompleteStateError when something is missing in between
 */
export function mergeSides(
  base: readonly Uint8Array[],
  ours: readonly Uint8Array[],
  theirs: readonly Uint8Array[],
): MergedDocument {
  const doc = new Y.Doc({ gc: false });
  return doc.transact(() => {
    for (const update of base) Y.applyUpdate(doc, update);
    const deletedByOurs = newDeletions(doc, ours);
    const deletedByTheirs = newDeletions(doc, theirs);
    const baseEnds = endsOf(doc);
    for (const update of ours) Y.applyUpdate(doc, update);
    const oursEnds = endsOf(doc);
    for (const update of theirs) Y.applyUpdate(doc, update);
    if (doc.store.pendingStructs !== null || doc.store.pendingDs !== null) throw new IncompleteStateError();
    // What both sides have (a device's earlier push, come back to it) is common ground like the base.
    const theirsEnds = reachOf(theirs);
    const commonEnd = (client: number): number =>
      Math.max(baseEnds.get(client) ?? 0, Math.min(oursEnds.get(client) ?? 0, theirsEnds.get(client) ?? 0));
    return {
      doc,
      ours: { inserted: since(oursEnds, commonEnd), deleted: deletedByOurs },
      theirs: { inserted: since(theirsEnds, commonEnd), deleted: deletedByTheirs },
    };
  });
}

function since(ends: ReadonlyMap<number, number>, commonEnd: (client: number) => number): IdRanges {
  const ranges = new IdRanges();
  for (const [client, end] of ends) ranges.add(client, commonEnd(client), end);
  return ranges;
}

function reachOf(updates: readonly Uint8Array[]): Map<number, number> {
  const ends = new Map<number, number>();
  for (const update of updates) {
    for (const { client, to } of readUpdate(update).runs)
      ends.set(client, Math.max(to, ends.get(client) ?? 0));
  }
  return ends;
}

function endsOf(doc: Y.Doc): Map<number, number> {
  return new Map([...doc.store.clients.keys()].map((client) => [client, Y.getState(doc.store, client)]));
}

/** Deletions of `updates` without those that `doc` has; a state repeats every deletion there ever was. */
function newDeletions(doc: Y.Doc, updates: readonly Uint8Array[]): IdRanges {
  const ranges = new IdRanges();
  for (const update of updates) {
    const { deletes } = readUpdate(update);
    for (let at = 0; at < deletes.length; at += 3) {
      addLive(ranges, doc, deletes[at] ?? 0, deletes[at + 1] ?? 0, deletes[at + 2] ?? 0);
    }
  }
  return ranges;
}

function addLive(ranges: IdRanges, doc: Y.Doc, client: number, from: number, length: number): void {
  const end = from + length;
  const structs = doc.store.clients.get(client) ?? [];
  const present = Y.getState(doc.store, client);
  if (from < present) {
    for (let at = Y.findIndexSS(structs, from); at < structs.length; at += 1) {
      const struct = structs[at];
      if (!struct || struct.id.clock >= end) break;
      if (struct.deleted) continue;
      ranges.add(client, Math.max(from, struct.id.clock), Math.min(end, struct.id.clock + struct.length));
    }
  }
  ranges.add(client, Math.max(from, present), end);
}

/** The items that ranges name. An item may reach beyond its range. */
export function* itemsOf(doc: Y.Doc, ranges: IdRanges): Generator<Y.Item> {
  for (const [client, from, to] of ranges) {
    const structs = doc.store.clients.get(client) ?? [];
    if (from >= Y.getState(doc.store, client)) continue;
    for (let at = Y.findIndexSS(structs, from); at < structs.length; at += 1) {
      const struct = structs[at];
      if (!struct || struct.id.clock >= to) break;
      if (struct instanceof Y.Item) yield struct;
    }
  }
}

/** The shared type that an item stands in; null for one whose parent is gone. */
export function parentOf(item: Y.Item): Y.AbstractType<unknown> | null {
  return item.parent instanceof Y.AbstractType ? (item.parent as Y.AbstractType<unknown>) : null;
}
