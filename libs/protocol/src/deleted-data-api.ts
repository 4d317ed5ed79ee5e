/**
 * `sync.projector.v1.deleted-data`: what entities were before they were deleted, for the rare edit that
 * brings one back (POLICY-13). Only the projector keeps it, so that the data of what was deleted is in no
 * read model. Internal: versioned with the code.
 */
import Type, { type Static } from 'typebox';
import type { JsonObject } from '@sync/domain';
import { Revision } from './owner-api.ts';
import type { ReadOnly } from './read-only.ts';
import { EntityData, EntityId, EntityType, TenantId } from './scalars.ts';

export const DeletedDataRequest = Type.Object(
  {
    tenantId: TenantId,
    entities: Type.Array(Type.Object({ entityType: EntityType, entityId: EntityId }), {
      minItems: 1,
      maxItems: 16,
    }),
  },
  { $id: 'DeletedDataRequest' },
);
export type DeletedDataRequest = ReadOnly<Static<typeof DeletedDataRequest>>;

export const DeletedDataReply = Type.Object(
  {
    entities: Type.Array(
      Type.Object({
        revision: Type.Union([Revision, Type.Null()], { description: 'Null: the entity is unknown.' }),
        data: Type.Union([Type.Unsafe<JsonObject>(EntityData), Type.Null()], {
          description:
            'As devices saw it last. Null: it is not deleted, or what it was is not kept any more.',
        }),
      }),
    ),
  },
  {
    $id: 'DeletedDataReply',
    description:
      'Of the first of the asked entities, in their order: as many as go into one message, at least one.',
  },
);
export type DeletedDataReply = ReadOnly<Static<typeof DeletedDataReply>>;
