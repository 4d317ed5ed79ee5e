import { checkOp, planUpcast } from '@sync/domain';
import { CONFLICT_ENTITY_TYPE, type RegisteredEntityType } from '@sync/protocol';
import type { DeviceKey } from '../../access/device-bindings.ts';
import type { RegisteredTypes } from '../../registration/registered-types.ts';
import type { PreparedMutation, Refusal } from './prepare-mutation.ts';
import type { RefusedTags } from './refuse-tags.ts';
import type { VerifyTags } from './verify-tags.ts';

const CONFLICT_CHANGES = '/entityType: a ConflictRecord changes only through resolve-conflict';

/** What is asked before a mutation goes anywhere, when it comes and again before it is sent. */
export interface Admission {
  readonly types: RegisteredTypes;
  readonly tags: VerifyTags;
  /** Told of mutations that were refused because of their tags: when they came, or after they had waited. */
  noteRefused(author: DeviceKey, refused: RefusedTags): void;
}

/**
 * Whether a mutation may go to its owner at all, in the order in which a developer would want to be told.
 * @param held whether the user holds the mutation's scope now
 * @returns null when it may
 */
export function admitMutation(
  mutation: Pick<PreparedMutation, 'entityType' | 'op' | 'schemaVersion' | 'scope' | 'tag'>,
  registration: RegisteredEntityType | null,
  held: boolean,
): Refusal | null {
  const { entityType, op, schemaVersion, scope } = mutation;
  if (!registration) {
    return { code: 'entity_type_unknown', message: `/entityType: no service registered "${entityType}"` };
  }
  // Whatever its owner would answer of the entity shows what its user may not see any more.
  if (entityType === CONFLICT_ENTITY_TYPE) return { code: 'forbidden', message: CONFLICT_CHANGES };
  if (!held) return { code: 'scope_not_held', message: `/scope: the user does not hold "${scope}"` };
  const refusal = checkOp(registration.policy, op);
  if (refusal) return { code: refusal, message: `/op: ${registration.policy} does not know ${op}` };
  if (registration.requiresTags && mutation.tag === undefined) {
    return { code: 'tag_missing', message: `/tag: ${entityType} asks for a tag by the device` };
  }
  // A mutation that names no version was written against whatever its app knew; the owner's own checks
  // decide.
  if (schemaVersion === undefined || isReadable(registration, schemaVersion)) return null;
  const unreadable = `/schemaVersion: ${entityType} cannot be read in version ${schemaVersion}`;
  const message = `${unreadable}; wanted is ${registration.schemaVersion}`;
  return { code: 'schema_version_unknown', message };
}

/** Whether the registration can read this version: it is its own, or its upcasters lift it. */
export function isReadable(
  { schemaVersion: registered, upcasters }: Pick<RegisteredEntityType, 'schemaVersion' | 'upcasters'>,
  schemaVersion: number,
): boolean {
  return schemaVersion === registered || planUpcast(upcasters ?? [], schemaVersion, registered).ok;
}
