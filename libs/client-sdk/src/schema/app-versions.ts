import {
  type JsonObject,
  type UpcastStep,
  checkUpcasters,
  planUpcast,
  upcastData,
  readJson,
} from '@sync/domain';
import type { LocalMutation, RemoteDelta } from '@sync/protocol';
import { report } from '../local/listeners.ts';
import type { EntityData } from '../outbox/show-entity.ts';
import { SyncError } from '../sync-error.ts';

/**
 * Lifts data of version `from` to `from + 1`: by the steps of a registration (`UpcastStep`), or by a function
 * of the app. A patch has only the fields that it changes; `lift` must not add others to it.
 */
export type DataUpcaster =
  | { readonly from: number; readonly steps: readonly UpcastStep[] }
  | {
      readonly from: number;
      /** Answers with the data as the next version has it. */
      readonly lift: (data: EntityData, op: LocalMutation['op']) => EntityData;
    };

/** What an entity type says of its versions. */
export interface VersionedType {
  /** 1 where nothing is said. */
  readonly schemaVersion?: number;
  /** One for each older version that devices may still have, without a gap. */
  readonly upcasters?: readonly DataUpcaster[];
}

/**
 * The versions of data that the app knows. What was stored or written under an older one is lifted when it is
 * shown or sent, and stays in the store as it is: there is no moment at which a device has to rewrite what it
 * has, in which it could be killed, or be read by a tab with the older app.
 *
 * | data is              | shown                | sent                                        |
 * | -------------------- | -------------------- | ------------------------------------------- |
 * | of the app's version | as it is             | as it is                                    |
 * | older                | lifted               | lifted, with a tag of its own (PUSH-3)      |
 * | older, not liftable  | as it is             | as it is: the server may lift it (PUSH-13)  |
 * | newer                | as it is             | as it is: a newer app wrote it              |
 *
 * Not liftable is what has no upcaster, and what a function of the app throws at: that is reported.
 */
export class AppVersions {
  /** No plain object: an entity type may be called `constructor`. */
  readonly #types: ReadonlyMap<string, VersionedType>;
  #newerTypes: readonly string[] = [];

  /** @throws SyncError `upcasters_invalid` for a gap, a repetition, or steps that contradict each other */
  constructor(types: Readonly<Record<string, VersionedType>> = {}) {
    this.#types = new Map(Object.entries(types));
    for (const [name, { schemaVersion = 1, upcasters = [] }] of this.#types) {
      const [fault] = checkUpcasters(upcasters.map(asRegistered), schemaVersion);
      if (!fault) continue;
      const message = `entities.${name}: upcasters${fault.path} ${fault.message}`;
      throw new SyncError('upcasters_invalid', message);
    }
  }

  /** Types of which data of a newer version was seen. The same list until there is one more. */
  get newerTypes(): readonly string[] {
    return this.#newerTypes;
  }

  /** Whether any type has something to lift. */
  get hasUpcasters(): boolean {
    return [...this.#types.values()].some(({ upcasters = [] }) => upcasters.length > 0);
  }

  /** The content of a state from the server as this app knows it; null where there is none. */
  dataOf(state: RemoteDelta | null): EntityData | null {
    if (!state?.data) return null;
    const { entityType, schemaVersion } = state;
    this.#note(entityType, schemaVersion);
    return this.#lift(entityType, state.data, 'put', schemaVersion) ?? state.data;
  }

  /** A state from the server as this app knows it. The same object where there is nothing to lift. */
  stateOf(state: RemoteDelta | null): RemoteDelta | null {
    const data = this.dataOf(state);
    if (!state || data === state.data) return state;
    return { ...state, data, schemaVersion: this.#types.get(state.entityType)?.schemaVersion ?? 1 };
  }

  /** A change of this device as this app knows it. The same object where there is nothing to lift. */
  mutation(mutation: LocalMutation): LocalMutation {
    const { entityType, data, op, schemaVersion = 1 } = mutation;
    this.#note(entityType, schemaVersion);
    if (!data) return mutation;
    const lifted = this.#lift(entityType, data, op, schemaVersion);
    if (!lifted) return mutation;
    return { ...mutation, data: lifted, schemaVersion: this.#types.get(entityType)?.schemaVersion ?? 1 };
  }

  #note(entityType: string, schemaVersion: number): void {
    const type = this.#types.get(entityType);
    if (!type || schemaVersion <= (type.schemaVersion ?? 1) || this.#newerTypes.includes(entityType)) return;
    this.#newerTypes = [...this.#newerTypes, entityType];
  }

  /** @returns null where there is nothing to lift, or it cannot be */
  #lift(entityType: string, data: EntityData, op: LocalMutation['op'], from: number): EntityData | null {
    const { schemaVersion: to = 1, upcasters = [] } = this.#types.get(entityType) ?? {};
    if (from >= to || upcasters.length === 0) return null;
    const plan = planUpcast(upcasters, from, to);
    if (!plan.ok) return null;
    try {
      return plan.chain.reduce((before, upcaster) => apply(before, op, upcaster), data);
    } catch (error) {
      report(error);
      return null;
    }
  }
}

function apply(data: EntityData, op: LocalMutation['op'], upcaster: DataUpcaster): EntityData {
  // The app may change what it is given, and give back what is no JSON.
  if ('lift' in upcaster) return asJson(assertData(upcaster.lift(asJson(data), op)));
  return upcastData(data as JsonObject, op, upcaster.steps);
}

/** An app without types may have an async function, whose promise would be written as `{}`. */
function assertData(lifted: unknown): EntityData {
  const isObject = typeof lifted === 'object' && lifted !== null && !Array.isArray(lifted);
  if (!isObject || lifted instanceof Promise)
    throw new TypeError('An upcaster has to answer with the data, at once');
  return lifted as EntityData;
}

function asJson(data: EntityData): EntityData {
  return readJson(JSON.stringify(data)) as EntityData;
}

/** A function lifts like a subject: nothing can be said of it. */
function asRegistered(upcaster: DataUpcaster) {
  return 'lift' in upcaster ? { from: upcaster.from, subject: '' } : upcaster;
}
