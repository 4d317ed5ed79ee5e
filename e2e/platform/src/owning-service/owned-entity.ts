import type { EntityData, EntityDefinition, Rejected, ServerChange } from '@sync/owner-sdk';
import { reject } from '@sync/owner-sdk';
import { type SchemaFault, validator } from '@sync/protocol';
import type { TObject, TSchema } from 'typebox';

/** What a change by the server itself comes to: the data to store, or what is wrong with it. */
export type Prepared =
  | { readonly ok: true; readonly data: EntityData; readonly also?: readonly ServerChange[] }
  | { readonly ok: false; readonly faults: readonly SchemaFault[] };

/**
 * One entity type of a platform service: its definition for the SDK, and the rule for changes through
 * `/dev/…/entities`.
 */
export interface OwnedEntity {
  readonly definition: EntityDefinition;
  /**
   * @param data what the request asks for
   * @param current the entity now, locked; null when there is none
   */
  prepare(entityId: string, data: EntityData, current: EntityData | null, nowIso: string): Prepared;
}

/** A `prepare` for types whose data only has to match their schema. */
export function prepareBySchema(check: (data: EntityData) => readonly SchemaFault[]): OwnedEntity['prepare'] {
  return (_entityId, data) => {
    const faults = check(data);
    return faults.length === 0 ? { ok: true, data } : { ok: false, faults };
  };
}

/** Compiles a schema to a list of faults, empty when the data is fine. */
export function faultsOf(schema: TSchema): (data: EntityData) => readonly SchemaFault[] {
  const check = validator(schema);
  return (data) => {
    const checked = check(data);
    return checked.ok ? [] : checked.faults;
  };
}

/**
 * The fields that may be missing and take no null. A form that was cleared sends null there: refused,
 * everything else that was written in it would be refused with it.
 */
export function optionalFieldsOf(schema: TObject): string[] {
  const required = new Set(schema.required);
  return Object.entries(schema.properties).flatMap(([field, type]) => {
    return required.has(field) || validator(type)(null).ok ? [] : [field];
  });
}

/** The rejection that names the first offending field. */
export function invalid([fault]: readonly SchemaFault[]): Rejected {
  return reject('data_invalid', fault ? `${fault.path}: ${fault.message}` : 'the data is not valid');
}

/**
 * An entity of somebody else, before or after the mutation, is out of a user's reach.
 * @returns the rejection, or null when `userId` is this user wherever it stands
 */
export function refuseForeign(
  userId: string,
  current: EntityData | null,
  next: EntityData | null,
): Rejected | null {
  if (current && current['userId'] !== userId)
    return reject('forbidden', 'the entity belongs to another user');
  // A missing or malformed userId is a fault of the data, which the schema reports by its path.
  const named = next?.['userId'];
  if (typeof named === 'string' && named !== userId) return reject('forbidden', '/userId names another user');
  return null;
}
