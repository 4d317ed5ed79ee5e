import { defineEntity, jsonEntityStore, reject } from '@sync/owner-sdk';
import Type from 'typebox';
import { CourseIdField } from '../../owning-service/field-types.ts';
import { type OwnedEntity, faultsOf, prepareBySchema } from '../../owning-service/owned-entity.ts';

const check = faultsOf(
  Type.Object({
    courseId: CourseIdField,
    title: Type.String({ minLength: 1, maxLength: 1_000 }),
    files: Type.Array(
      Type.Object({
        path: Type.String({ minLength: 1, maxLength: 1_024 }),
        sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
        bytes: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
      }),
      { maxItems: 10_000 },
    ),
  }),
);

/** The manifest of a course's files. The files themselves are the content service's business. */
export const bundle: OwnedEntity = {
  definition: defineEntity({
    entityType: 'bundle',
    schemaVersion: 1,
    policy: 'server_authoritative',
    projection: { kind: 'declarative', fields: '*', scopes: ['course:{courseId}'] },
    ...jsonEntityStore('bundle'),
    handle: () => reject('forbidden', 'bundles are published by the service'),
  }),
  prepare: prepareBySchema(check),
};
