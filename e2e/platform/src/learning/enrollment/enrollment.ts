import { accept, defineEntity, type EntityData, jsonEntityStore, mutatedData, reject } from '@sync/owner-sdk';
import Type from 'typebox';
import { CourseIdField, UserIdField } from '../../owning-service/field-types.ts';
import {
  type OwnedEntity,
  faultsOf,
  invalid,
  prepareBySchema,
  refuseForeign,
} from '../../owning-service/owned-entity.ts';

const check = faultsOf(
  Type.Object({
    userId: UserIdField,
    courseId: CourseIdField,
    status: Type.Enum(['active', 'completed', 'withdrawn']),
  }),
);

/**
 * Who takes which course. The service enrols; a learner may only withdraw. While it is active or completed
 * its user holds `course:<courseId>`, and with it the course's bundle and documents.
 */
export const enrollment: OwnedEntity = {
  definition: defineEntity({
    entityType: 'enrollment',
    schemaVersion: 1,
    policy: 'server_authoritative',
    projection: { kind: 'declarative', fields: '*', scopes: ['user:{userId}'] },
    grants: [
      {
        scope: 'course:{courseId}',
        user: '{userId}',
        when: { field: 'status', in: ['active', 'completed'] },
      },
    ],
    ...jsonEntityStore('enrollment'),
    handle(mutation, current, { userId }) {
      const data = mutatedData(mutation, current);
      const foreign = refuseForeign(userId, current, data);
      if (foreign) return foreign;
      if (data !== null) {
        const faults = check(data);
        if (faults.length > 0) return invalid(faults);
      }
      if (current !== null && isWithdrawal(current, data)) return accept(data);
      return reject('forbidden', 'a learner may only withdraw from a course');
    },
  }),
  prepare: prepareBySchema(check),
};

function isWithdrawal(current: EntityData, next: EntityData | null): boolean {
  return next?.['status'] === 'withdrawn' && next['courseId'] === current['courseId'];
}
