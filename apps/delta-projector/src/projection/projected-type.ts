import { type JsonValue, POLICIES, type ProjectionRule } from '@sync/domain';
import type { RegisteredEntityType } from '@sync/protocol';

/** An entity type as the projector works with it. */
export interface ProjectedType {
  readonly registration: RegisteredEntityType;
  /** Of a remote projection: everything but scopes, grants and fields, which the answer brings. */
  readonly rule: ProjectionRule;
  /** The subject that answers for this type's scopes; null for a declarative projection. */
  readonly remoteSubject: string | null;
  /**
   * Whether decisions look at fields (who wrote which, what the value was before). Only then are data and
   * writers kept on the head: for the other policies that would double what every event writes.
   */
  readonly comparesFields: boolean;
}

/** Where entity types come from; `registry/` implements it. */
export interface EntityTypes {
  get(entityType: string): ProjectedType | undefined;
  /** Looks once for entity types that are not known yet; returns soon whether or not somebody answers. */
  lookFor(entityTypes: ReadonlySet<string>): Promise<void>;
}

/** The rule that a registration stands for. */
export function projectedType(registration: RegisteredEntityType): ProjectedType {
  const { projection, policy, schemaVersion, grants = [] } = registration;
  const declarative = projection.kind === 'declarative' ? projection : null;
  return {
    registration,
    rule: {
      schemaVersion,
      policy,
      fields: declarative?.fields ?? '*',
      scopes: declarative?.scopes ?? [],
      docUpdateField: declarative?.docUpdateField ?? null,
      grants: grants.map(({ scope, user, when }) => ({
        scope,
        user,
        ...(when && { when: { field: when.field, in: when.in as JsonValue[] } }),
      })),
    },
    remoteSubject: projection.kind === 'remote' ? projection.subject : null,
    comparesFields: POLICIES[policy].comparesFields,
  };
}
