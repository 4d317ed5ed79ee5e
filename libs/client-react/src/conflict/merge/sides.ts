import type { JsonObject } from '@sync/domain';
import type { ConflictRecord, Suggestion } from '@sync/protocol';

/** What the server has of an entity; `data` is null where it is deleted. */
export interface ServerState {
  readonly data: JsonObject | null;
  readonly clock: ConflictRecord['clocks']['ours'];
}

/** The three versions of an entity, each as a whole; null where there is none. */
export interface Sides {
  readonly base: JsonObject | null;
  /** Fields whose value in the base nobody knows; `''`: of the whole. */
  readonly baseUnknown: readonly string[];
  readonly server: JsonObject | null;
  /** What the server would have if the device's change were carried out now. */
  readonly device: JsonObject | null;
  /** What a model proposes; undefined where nothing is proposed. */
  readonly suggested?: JsonObject | null;
  readonly suggestionId?: string;
}

/** A suggestion that a person can accept. */
export type ReadySuggestion = Suggestion & { readonly changes: NonNullable<Suggestion['changes']> };

/**
 * Reads the versions out of a record.
 * @param server as it is now; the record's own `ours` where nobody has looked since
 */
export function sidesOf(record: ConflictRecord, server: ServerState): Sides {
  const suggestion = readySuggestion(record);
  return {
    base: record.base as JsonObject | null,
    // Records from before it was told have no base at all.
    baseUnknown: record.baseUnknown ?? (record.base === null ? [''] : []),
    server: server.data,
    device: deviceSide(record, server.data),
    ...(suggestion ? suggestedSide(suggestion, server.data) : {}),
  };
}

function deviceSide(record: ConflictRecord, server: JsonObject | null): JsonObject | null {
  const { theirs, theirsLifted, base, op } = record;
  const written = (theirsLifted ?? theirs) as JsonObject | null;
  if (op === 'delete' || written === null) return null;
  // A patch leaves alone what it does not name. Records from before ops were kept set what they name, too.
  return op === undefined || op === 'patch'
    ? { ...(server ?? (base as JsonObject | null)), ...written }
    : written;
}

function suggestedSide({ changes, suggestionId }: ReadySuggestion, server: JsonObject | null) {
  const { set, remove } = changes;
  const all = Object.entries({ ...server, ...(set as JsonObject) });
  return {
    suggested: Object.fromEntries(all.filter(([field]) => !remove.includes(field))),
    suggestionId,
  };
}

/** A change of a document that its service refused or failed at: nobody else has a part in it. */
export function isRefused({ op, theirs }: ConflictRecord): boolean {
  // A merge has both sides of every block in which edits met, or of none; a refused change has no sides.
  return op === 'merge' && theirs === null;
}

/** The newest suggestion that waits for somebody to accept it. */
export function readySuggestion({ suggestions }: ConflictRecord): ReadySuggestion | undefined {
  return suggestions.findLast(
    (each): each is ReadySuggestion => each.status === 'ready' && each.changes !== undefined,
  );
}

/** The record's own view of the server, for whoever has no newer one. */
export function recordedServer({ ours, clocks }: ConflictRecord): ServerState {
  return { data: ours as JsonObject | null, clock: clocks.ours };
}
