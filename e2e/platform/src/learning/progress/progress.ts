import { accept, defineEntity, type EntityData, jsonEntityStore, mutatedData } from '@sync/owner-sdk';
import Type from 'typebox';
import { CourseIdField, UserIdField } from '../../owning-service/field-types.ts';
import {
  type OwnedEntity,
  faultsOf,
  invalid,
  optionalFieldsOf,
  refuseForeign,
} from '../../owning-service/owned-entity.ts';
import { issueCertificate } from '../certificate/certificate.ts';

const Progress = Type.Object({
  userId: UserIdField,
  courseId: CourseIdField,
  percent: Type.Number({ minimum: 0, maximum: 100 }),
  status: Type.Enum(['in_progress', 'completed']),
  // A page number in slides, an anchor in texts.
  lastPage: Type.Optional(Type.Union([Type.Number(), Type.String({ maxLength: 256 })])),
  score: Type.Optional(Type.Number()),
});
const check = faultsOf(Progress);
const optional = optionalFieldsOf(Progress);

const isCompleted = (data: EntityData | null): boolean => data?.['status'] === 'completed';

/** How far a learner is in a course; completing it earns the certificate, in the same transaction. */
export const progress: OwnedEntity = {
  definition: defineEntity({
    entityType: 'progress',
    schemaVersion: 1,
    policy: 'lww',
    projection: { kind: 'declarative', fields: '*', scopes: ['user:{userId}'] },
    ...jsonEntityStore('progress'),
    handle(mutation, current, { userId, nowIso }) {
      const data = mutatedData(mutation, current, optional);
      const foreign = refuseForeign(userId, current, data);
      if (foreign) return foreign;
      if (data === null) return accept(null);
      const faults = check(data);
      if (faults.length > 0) return invalid(faults);
      const completes = isCompleted(data) && !isCompleted(current);
      return accept(data, completes ? { also: [issueCertificate(data, nowIso)] } : {});
    },
  }),
  prepare(_entityId, data, _current, nowIso) {
    const faults = check(data);
    if (faults.length > 0) return { ok: false, faults };
    return { ok: true, data, also: isCompleted(data) ? [issueCertificate(data, nowIso)] : [] };
  },
};
