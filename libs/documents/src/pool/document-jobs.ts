import { compareRepeated, type Repeated } from '../admission/compare-repeated.ts';
import { WrittenContent } from '../admission/written-content.ts';
import { findOverlaps } from '../overlap/find-overlaps.ts';
import type { OverlapReport } from '../overlap/overlap.ts';
import { diffFor, squash } from '../state/document-state.ts';
import { restoreUpdate } from '../state/restore-update.ts';
import { rewriteLines, type LineEdit, type Rewritten } from '../state/rewrite-lines.ts';
import { stateHash } from './state-hash.ts';
import type { StateVector } from '../state/state-vector.ts';

/** A job takes and answers what a structured clone carries. */
export type Job<Input, Output> = (input: Input) => Output;

/** A document's squashed state and its hash. */
export interface SquashedState {
  readonly state: Uint8Array;
  readonly hash: string;
}

/** What the workers of a {@link DocumentPool} do: everything that loads a document or grows with one. */
export const DOCUMENT_JOBS = {
  squash: ({
    base,
    updates,
    maxDepth,
  }: {
    readonly base: Uint8Array | null;
    readonly updates: readonly Uint8Array[];
    readonly maxDepth?: number;
  }): SquashedState => {
    const state = squash(base, updates, maxDepth);
    return { state, hash: stateHash(state) };
  },
  diff: ({
    state,
    stateVector,
  }: {
    readonly state: Uint8Array;
    readonly stateVector: StateVector;
  }): Uint8Array => diffFor(state, stateVector),
  overlaps: ({
    base,
    ours,
    theirs,
  }: {
    readonly base: readonly Uint8Array[];
    readonly ours: readonly Uint8Array[];
    readonly theirs: readonly Uint8Array[];
  }): OverlapReport => findOverlaps(base, ours, theirs),
  compareRepeated: ({
    update,
    stateVector,
    written,
  }: {
    readonly update: Uint8Array;
    readonly stateVector: StateVector;
    readonly written: readonly (readonly Uint8Array[])[];
  }): Repeated =>
    compareRepeated(
      update,
      stateVector,
      written.map((updates) => new WrittenContent(updates)),
    ),
  restore: ({
    stateThen,
    updatesSince,
    clientId,
  }: {
    readonly stateThen: Uint8Array;
    readonly updatesSince: readonly Uint8Array[];
    readonly clientId: number;
  }): Uint8Array | null => restoreUpdate(stateThen, updatesSince, clientId),
  rewrite: ({
    state,
    edits,
    clientId,
  }: {
    readonly state: Uint8Array;
    readonly edits: readonly LineEdit[];
    readonly clientId: number;
  }): Rewritten => rewriteLines(state, edits, clientId),
};

export type DocumentJobs = typeof DOCUMENT_JOBS;
