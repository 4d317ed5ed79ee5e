import type { JsonValue } from '@sync/domain';
import Type, { type Static } from 'typebox';
import { ConflictPolicy, EntityType, SchemaVersion, ServiceName } from './scalars.ts';

const NAME = '[A-Za-z_][A-Za-z0-9_]{0,63}';
const PATH = `${NAME}(\\.${NAME}){0,7}`;
const FieldName = Type.String({ pattern: `^${NAME}$` });
const FieldPath = Type.String({
  pattern: `^${PATH}$`,
  description: 'A field of the entity’s data; dots lead into nested objects: `actor.account.name`.',
});
const ScopeTemplate = Type.String({
  pattern: `^[a-z][a-z0-9_-]{0,31}:(\\{${PATH}\\}|[A-Za-z0-9._~-]){1,128}$`,
  description: '`course:{courseId}`: a field of the entity’s data, its path, or `{entityId}`, in braces.',
});
const ValueTemplate = Type.String({
  pattern: `^\\{${PATH}\\}$`,
  description: '`{userId}`: the field of the entity’s data that holds the value.',
});
const Subject = Type.String({ pattern: '^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_*>-]+){1,15}$' });

export const GrantRule = Type.Object(
  {
    scope: ScopeTemplate,
    user: ValueTemplate,
    when: Type.Optional(
      Type.Object({ field: FieldPath, in: Type.Array(Type.Unknown(), { minItems: 1, maxItems: 32 }) }),
    ),
  },
  {
    $id: 'GrantRule',
    description:
      'While an entity exists and `when` holds, its user holds the scope; when that ends, the scope is ' +
      'revoked.',
  },
);
export type GrantRule = Static<typeof GrantRule>;

export const DeclarativeProjection = Type.Object({
  kind: Type.Literal('declarative'),
  fields: Type.Union([Type.Literal('*'), Type.Array(FieldName, { maxItems: 200 })]),
  scopes: Type.Array(ScopeTemplate, { minItems: 1, maxItems: 16 }),
  docUpdateField: Type.Optional(FieldName),
});

export const RemoteProjection = Type.Object({
  kind: Type.Literal('remote'),
  subject: Subject,
});

const AnyValue = Type.Unsafe<JsonValue>(Type.Unknown());

/**
 * The types are `UpcastStep` and `Upcaster` of `libs/domain`, which says what each step does;
 * registration.test.ts keeps both equal.
 */
const UpcastStep = Type.Union([
  Type.Object({ kind: Type.Literal('rename'), field: FieldName, to: FieldName }),
  Type.Object({ kind: Type.Literal('move'), field: FieldPath, to: FieldName }),
  Type.Object({ kind: Type.Literal('remove'), field: FieldPath }),
  Type.Object({ kind: Type.Literal('default'), field: FieldName, value: AnyValue }),
  Type.Object({
    kind: Type.Literal('replace'),
    field: FieldName,
    values: Type.Array(Type.Object({ from: AnyValue, to: AnyValue }), { minItems: 1, maxItems: 64 }),
  }),
]);

export const Upcaster = Type.Union(
  [
    Type.Object({ from: SchemaVersion, steps: Type.Array(UpcastStep, { maxItems: 64 }) }),
    Type.Object({ from: SchemaVersion, subject: Subject }),
  ],
  {
    $id: 'Upcaster',
    description:
      'Lifts the data of mutations that were written under version `from` to `from + 1`: by steps, or by ' +
      'asking `subject` (UpcastRequest).',
  },
);
export type Upcaster = Static<typeof Upcaster>;

export const EntityTypeRegistration = Type.Object(
  {
    entityType: EntityType,
    schemaVersion: SchemaVersion,
    policy: ConflictPolicy,
    review: Type.Optional(Type.Enum(['none', 'collisions'])),
    projection: Type.Union([DeclarativeProjection, RemoteProjection]),
    grants: Type.Optional(Type.Array(GrantRule, { maxItems: 16 })),
    eventSubjects: Type.Optional(
      Type.Array(Subject, {
        maxItems: 8,
        description:
          'Where a service that does not use the SDK publishes its CloudEvents; default ' +
          '`sync.events.v1.plain.<service>.<entityType>`.',
      }),
    ),
    upcasters: Type.Optional(
      Type.Array(Upcaster, {
        maxItems: 64,
        description:
          'How mutations of older versions, still in the outboxes of devices, become mutations of this ' +
          'one: one upcaster per version, without a gap.',
      }),
    ),
    pushSubject: Type.Optional(Subject),
    pushChains: Type.Optional(
      Type.Boolean({
        description:
          'The push handler answers a mutation with `conflict` when an earlier one of the entity in the ' +
          'same request got that. Only then several mutations of one entity are sent at once, else one ' +
          'after the other. The SDK does.',
      }),
    ),
    pushShares: Type.Optional(
      Type.Boolean({
        description:
          'The push handler takes changes of several devices in one request (`shared`), and answers ' +
          '`shared_failed` when it cannot do all of them soon. Only then they are sent so. The SDK does.',
      }),
    ),
    pushRefuses: Type.Optional(
      Type.Boolean({
        description:
          'The push handler knows `refuse`: it says of such a mutation whether it has applied it, and refuses ' +
          'it for good otherwise. Only then a mutation that was perhaps applied is asked for without being ' +
          'carried out. The SDK does.',
      }),
    ),
    snapshotSubject: Type.Optional(Subject),
    requiresTags: Type.Optional(
      Type.Boolean({
        description:
          'Mutations without a `tag` of their device are refused (`tag_missing`), so that nobody can change ' +
          'one where it waits and take its tag away. For types of which all apps make tags.',
      }),
    ),
  },
  { $id: 'EntityTypeRegistration' },
);
export type EntityTypeRegistration = Static<typeof EntityTypeRegistration>;

export const SyncRegistration = Type.Object(
  { service: ServiceName, entityTypes: Type.Array(EntityTypeRegistration, { minItems: 1, maxItems: 200 }) },
  { $id: 'SyncRegistration' },
);
export type SyncRegistration = Static<typeof SyncRegistration>;

/** One registered entity type with its owner, as the gateway and the projector keep it. */
export interface RegisteredEntityType extends EntityTypeRegistration {
  readonly service: string;
}
