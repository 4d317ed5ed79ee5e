import type { TestEntityType } from '@sync/client-testing';
import {
  type OwnedEntity,
  bundle,
  certificate,
  enrollment,
  highlight,
  note,
  progress,
  statement,
} from '@sync/e2e-platform/learning-entities';

/** The entity types of the platform’s learning service, by name. */
export const LEARNING: ReadonlyMap<string, OwnedEntity> = new Map(
  [bundle, certificate, enrollment, highlight, note, progress, statement].map((entity) => [
    entity.definition.entityType,
    entity,
  ]),
);

/** The same with their own rules, as the server in memory takes them. */
export function learningTypes(): Record<string, TestEntityType> {
  return Object.fromEntries([...LEARNING].map(([name, entity]) => [name, typeOf(entity)]));
}

function typeOf({ definition }: OwnedEntity): TestEntityType {
  const { policy, review, schemaVersion, projection, grants = [], upcasters = [], handle } = definition;
  if (projection.kind !== 'declarative')
    throw new TypeError(`${definition.entityType} is projected elsewhere`);
  const { scopes, fields } = projection;
  return {
    ...{ policy, schemaVersion, scopes, fields, upcasters, handle, service: 'learning' },
    ...{ review: review ?? 'none', requiresTags: definition.requiresTags ?? false },
    grants: grants.map(({ scope, user, when }) => ({
      scope,
      user,
      ...(when ? { when: { ...when, in: when.in as never } } : {}),
    })),
  };
}
