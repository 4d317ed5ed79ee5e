/** What a device may know of the registered entity types: `GET /sync/v1/entity-types`. */
import Type, { type Static } from 'typebox';
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
