import { accept, defineEntity, jsonEntityStore, mutatedData } from '@sync/owner-sdk';
import Type from 'typebox';
import { CourseIdField, UserIdField } from '../../owning-service/field-types.ts';
import {
  type OwnedEntity,
  faultsOf,
  invalid,
  optionalFieldsOf,
  prepareBySchema,
  refuseForeign,
} from '../../owning-service/owned-entity.ts';

const Note = Type.Object({
  userId: UserIdField,
  text: Type.String(),
  colour: Type.Optional(Type.String({ maxLength: 64 })),
  courseId: Type.Optional(CourseIdField),
});
const check = faultsOf(Note);
const optional = optionalFieldsOf(Note);

/** A learner's own note. Text is precious: the same field changed on two devices is shown to a person. */
export const note: OwnedEntity = {
  definition: defineEntity({
    entityType: 'note',
    schemaVersion: 1,
    policy: 'lww',
    review: 'collisions',
    projection: { kind: 'declarative', fields: '*', scopes: ['user:{userId}'] },
    ...jsonEntityStore('note'),
    handle(mutation, current, { userId }) {
      const data = mutatedData(mutation, current, optional);
      const foreign = refuseForeign(userId, current, data);
      if (foreign) return foreign;
      if (data === null) return accept(null);
      const faults = check(data);
      return faults.length > 0 ? invalid(faults) : accept(data);
    },
  }),
  prepare: prepareBySchema(check),
};
