/** What a device may know of the registered entity types: `GET /sync/v1/entity-types`. */
import { POLICIES, type ConflictPolicy as PolicyName } from '@sync/domain';
import Type, { type Static } from 'typebox';
import { CONFLICT_ENTITY_TYPE } from './conflict-record.ts';
import { ConflictPolicy, EntityType, MutationOp, SchemaVersion, Timestamp } from './scalars.ts';

export const EntityTypeInfo = Type.Object(
  {
    entityType: EntityType,
    policy: ConflictPolicy,
    review: Type.Enum(['none', 'collisions'], {
      description: '`collisions`: a person decides about fields that both sides wrote.',
    }),
    schemaVersion: SchemaVersion,
    oldestSchemaVersion: Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      description: 'Mutations of this version and of later ones are lifted; of older ones they are rejected.',
    }),
    ops: Type.Array(MutationOp, {
      description: 'What a mutation may do; others are rejected. Empty for what is only pulled.',
    }),
    requiresTags: Type.Boolean({ description: 'Mutations without a `tag` are rejected (PUSH-23).' }),
  },
  { $id: 'EntityTypeInfo' },
);
export type EntityTypeInfo = Static<typeof EntityTypeInfo>;

export const EntityTypesResponse = Type.Object(
  { serverTime: Timestamp, entityTypes: Type.Array(EntityTypeInfo) },
  { $id: 'EntityTypesResponse' },
);
export type EntityTypesResponse = Static<typeof EntityTypesResponse>;

/** What a registration says that is of use to a device. */
interface KnownType {
  readonly entityType: string;
  readonly policy: PolicyName;
  readonly schemaVersion: number;
  readonly review?: EntityTypeInfo['review'] | undefined;
  readonly upcasters?: readonly { readonly from: number }[] | undefined;
  readonly requiresTags?: boolean | undefined;
}

/** @returns what devices may know of the types (PUSH-25), by name. Records of conflicts are only pulled. */
export function entityTypeInfos(types: readonly KnownType[]): EntityTypeInfo[] {
  return types.map(infoOf).sort((left, right) => (left.entityType < right.entityType ? -1 : 1));
}

function infoOf(type: KnownType): EntityTypeInfo {
  const { entityType, policy, review = 'none', schemaVersion, upcasters = [], requiresTags = false } = type;
  const oldestSchemaVersion = Math.min(schemaVersion, ...upcasters.map(({ from }) => from));
  const ops = entityType === CONFLICT_ENTITY_TYPE ? [] : [...POLICIES[policy].ops];
  return { entityType, policy, review, schemaVersion, oldestSchemaVersion, ops, requiresTags };
}
