import type { EntityData } from './entity-store.ts';

/** A change that the service makes itself. `data: null` deletes. */
export interface ServerChange {
  readonly entityType: string;
  readonly entityId: string;
  readonly data: EntityData | null;
  /** Leaves an entity that exists as it is: for things issued once, such as a certificate. */
  readonly ifAbsent?: boolean;
}

/** The mutation is applied: what {@link accept} makes. */
export interface Accepted {
  readonly kind: 'accepted';
  readonly data: EntityData | null;
  readonly also: readonly ServerChange[];
}

/** The mutation is refused for ever: what {@link reject} makes. */
export interface Rejected {
  readonly kind: 'rejected';
  readonly code: string;
  readonly message: string;
}

/** What a push handler answers; built with {@link accept} and {@link reject}. */
export type HandlerAnswer = Accepted | Rejected;

/**
 * Applies the mutation.
 * @param data the entity as it is to be stored and shown; null deletes it
 * @param options `also`: changes of other entities of this service, in the same transaction
 */
export function accept(
  data: EntityData | null,
  options: { readonly also?: readonly ServerChange[] } = {},
): Accepted {
  return { kind: 'accepted', data, also: options.also ?? [] };
}

/**
 * Refuses the mutation for ever: the device drops it and shows why.
 * @param code `^[a-z][a-z0-9_]{0,63}$`; protocol v1 names `forbidden` and `data_invalid`
 * @param message for developers, cut to 1000 characters; names the field of `data_invalid`
 * @throws TypeError for a code that the protocol does not allow
 */
export function reject(code: string, message: string): Rejected {
  if (!/^[a-z][a-z0-9_]{0,63}$/.test(code))
    throw new TypeError(`${JSON.stringify(code)} is not an outcome code`);
  return { kind: 'rejected', code, message };
}
