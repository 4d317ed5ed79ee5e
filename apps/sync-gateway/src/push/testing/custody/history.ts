import type { ConflictDraft, JsonObject, JsonValue } from '@sync/domain';
import type { ConflictSeen, LocalMutation, Outcome, PushedMutation } from '@sync/protocol';
import type { Round } from './scenario.ts';

/**
 * A mutation that a device wrote. Its one field has the name as its value, so that every value says who wrote
 * it.
 */
export interface Written {
  /** The device's letter and a number: `a3`. */
  readonly name: string;
  readonly deviceId: string;
  readonly mutation: LocalMutation;
}

/** A change of the owner's own, of one field to `name` (`s3`). */
export interface ServerChange {
  readonly name: string;
  readonly field: string;
  /** The entity's counter of the owner after it. */
  readonly counter: number;
}

export interface EntityHistory {
  readonly entityId: string;
  readonly changes: ReadonlyMap<number, ServerChange>;
  /** As the owner has it in the end. */
  readonly data: JsonObject;
}

/** What a device pushed in a round. */
export interface Pushed {
  /** The device's letter. */
  readonly device: string;
  /** What had no outcome yet, by name. */
  readonly open: readonly string[];
  /** How many that had theirs. */
  readonly repeated: number;
}

/** A round as it went. */
export interface PlayedRound {
  readonly round: Round;
  readonly change: { readonly entityId: string; readonly name: string } | null;
  /** By device. */
  readonly pushed: readonly Pushed[];
  /** What the owner was asked. */
  readonly asked: readonly (readonly PushedMutation[])[];
}

/** All that can be known of a run from outside of the gateway. */
export interface History {
  /** The last is the time after the scenario, in which everything is to end. */
  readonly rounds: readonly PlayedRound[];
  readonly written: ReadonlyMap<string, Written>;
  /** By mutationId: the outcomes as texts, each different one once. */
  readonly answers: ReadonlyMap<string, ReadonlySet<string>>;
  /** By mutationId, from the ledger. */
  readonly outcomes: ReadonlyMap<string, Outcome>;
  /** What the owner applied, in its order. */
  readonly applied: readonly string[];
  readonly entities: readonly EntityHistory[];
  /** Of this run, as the gateway tells the resolver. */
  readonly records: readonly ConflictSeen[];
}

/** One revision of an entity: a change of its owner's own, or a mutation. */
export type Revision =
  | { readonly change: ServerChange; readonly written: null }
  | { readonly change: null; readonly written: Written };

/**
 * An entity's revisions, the first first. Those that its owner did not make by itself are the mutations that
 * it applied, in its order.
 */
export function revisionsOf({ applied, written }: History, { entityId, changes }: EntityHistory): Revision[] {
  const own = [...new Set(applied)]
    .flatMap((mutationId) => written.get(mutationId) ?? [])
    .filter(({ mutation }) => mutation.entityId === entityId);
  const revisions: Revision[] = [];
  for (let revision = 1; revision <= changes.size + own.length; revision += 1) {
    const change = changes.get(revision);
    const mutation = own[revision - 1 - revisions.filter((one) => one.change).length];
    if (change) revisions.push({ change, written: null });
    else if (mutation) revisions.push({ change: null, written: mutation });
  }
  return revisions;
}

/** The draft of a mutation's ConflictRecord. */
export function draftOf({ records }: History, mutationId: string): ConflictDraft | undefined {
  return records.find((record) => record.mutationId === mutationId)?.draft as ConflictDraft | undefined;
}

/** Values are names, unless something has gone wrong with them. */
export function tellValue(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : JSON.stringify(value ?? null);
}
