import type { TestEntityType } from '@sync/client-testing';
import { keepDocuments } from '@sync/client-testing/yjs';
import { documentEntity } from '@sync/e2e-platform/document-entity';
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

/** Nothing goes wrong with the documents of the owner SDK: the server in memory keeps its own. */
const quiet = (): void => undefined;
const { entity: document } = documentEntity({ debug: quiet, info: quiet, warn: quiet, error: quiet });

/** The entity types of the platform’s services, by name. */
export const PLATFORM: ReadonlyMap<string, OwnedEntity> = new Map(
  [bundle, certificate, document, enrollment, highlight, note, progress, statement].map((entity) => [
    entity.definition.entityType,
    entity,
  ]),
);

/** The same with their own rules, as the server in memory takes them. */
export function platformTypes(): Record<string, TestEntityType> {
  return Object.fromEntries([...PLATFORM].map(([name, entity]) => [name, typeOf(entity)]));
}

function typeOf({ definition }: OwnedEntity): TestEntityType {
  const { policy, review, schemaVersion, projection, grants = [], upcasters = [], handle } = definition;
  if (projection.kind !== 'declarative')
    throw new TypeError(`${definition.entityType} is projected elsewhere`);
  const { scopes, fields, docUpdateField: field } = projection;
  // A document of theirs is one text.
  const documents = field && { documents: keepDocuments({ field, admission: { nestedTypes: 0 } }) };
  return {
    ...{ policy, schemaVersion, scopes, fields, upcasters, handle, ...documents },
    service: field === undefined ? 'learning' : 'authoring',
    ...{ review: review ?? 'none', requiresTags: definition.requiresTags ?? false },
    grants: grants.map(({ scope, user, when }) => ({
      scope,
      user,
      ...(when ? { when: { ...when, in: when.in as never } } : {}),
    })),
  };
}
