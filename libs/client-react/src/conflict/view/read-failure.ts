import type { ConflictRecord } from '@sync/protocol';
import type { ServerState } from '../merge/sides.ts';

/**
 * Why a conflict could not be decided.
 *
 * | kind        | what came                             | what helps                       |
 * | ----------- | ------------------------------------- | -------------------------------- |
 * | `moved`     | `conflict_moved`                      | looking at what the server has now |
 * | `elsewhere` | `conflict_already_resolved`           | nothing: it is decided           |
 * | `rejected`  | `resolution_rejected`, other refusals | another decision                 |
 * | `offline`   | no answer                             | a network                        |
 * | `failed`    | anything else                         | trying again                     |
 */
export interface ResolveFailure {
  readonly kind: 'moved' | 'elsewhere' | 'rejected' | 'offline' | 'failed';
  /** In the words of whoever refused it. */
  readonly detail: string;
  /** What the server has now, where it said so. */
  readonly current?: ServerState;
  /** The record as it was decided elsewhere. */
  readonly record?: ConflictRecord;
}

/** What is read of an error: a `SyncError` has it, and so may what an app throws for itself. */
interface Failed {
  readonly failure?: {
    readonly kind?: string;
    readonly problem?: {
      readonly code?: string;
      readonly detail?: string;
      readonly current?: ServerState;
      readonly conflict?: ConflictRecord;
    } | null;
  } | null;
}

/** @param error what `onResolve` threw */
export function readFailure(error: unknown): ResolveFailure {
  const { kind, problem } = (error as Failed | null)?.failure ?? {};
  const detail = problem?.detail ?? (error instanceof Error ? error.message : String(error));
  switch (problem?.code) {
    case 'conflict_moved': {
      const { current } = problem;
      return {
        kind: 'moved',
        detail,
        ...(current ? { current: { data: current.data, clock: current.clock } } : {}),
      };
    }
    case 'conflict_already_resolved':
      return { kind: 'elsewhere', detail, ...(problem.conflict ? { record: problem.conflict } : {}) };
    case undefined:
      return { kind: kind === 'offline' ? 'offline' : 'failed', detail };
    default:
      return { kind: kind === 'refused' ? 'rejected' : 'failed', detail };
  }
}
