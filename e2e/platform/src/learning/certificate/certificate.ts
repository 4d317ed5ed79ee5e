import { createHash } from 'node:crypto';
import { defineEntity, type EntityData, jsonEntityStore, reject, type ServerChange } from '@sync/owner-sdk';
import { Timestamp } from '@sync/protocol';
import Type from 'typebox';
import { CourseIdField, UserIdField } from '../../owning-service/field-types.ts';
import { type OwnedEntity, faultsOf, prepareBySchema } from '../../owning-service/owned-entity.ts';

const check = faultsOf(Type.Object({ userId: UserIdField, courseId: CourseIdField, issuedAt: Timestamp }));

/** Issued by the service; nobody makes their own. */
export const certificate: OwnedEntity = {
  definition: defineEntity({
    entityType: 'certificate',
    schemaVersion: 1,
    policy: 'server_authoritative',
    projection: { kind: 'declarative', fields: '*', scopes: ['user:{userId}'] },
    ...jsonEntityStore('certificate'),
    handle: () => reject('forbidden', 'certificates are issued by the service'),
  }),
  prepare: prepareBySchema(check),
};

/**
 * The certificate for a completed course. One per user and course, whoever completes it again: the id is made
 * of both.
 * @param progress a progress that passed its check
 */
export function issueCertificate(progress: EntityData, nowIso: string): ServerChange {
  const { userId, courseId } = progress;
  const digest = createHash('sha256')
    .update(`${String(userId)}\0${String(courseId)}`)
    .digest('hex');
  return {
    entityType: 'certificate',
    entityId: `certificate-${digest.slice(0, 32)}`,
    data: { userId, courseId, issuedAt: nowIso },
    ifAbsent: true,
  };
}
