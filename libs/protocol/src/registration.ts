import type { JsonValue } from '@sync/domain';
import Type, { type Static } from 'typebox';
import { ConflictPolicy, EntityType, SchemaVersion, ServiceName } from './scalars.ts';

const NAME = '[A-Za-z_][A-Za-z0-9_]{0,63}';
const PATH = `${NAME}(\\.${NAME}){0,7}`;
const FieldName = Type.String({
  pattern: `^${NAME}$`,
  description: 'A top-level field of the entity’s data.',
});
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
const Subject = Type.String({
  pattern: '^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_*>-]+){1,15}$',
  description: 'A subject of NATS that the service listens to; which ones it may name: OWNER-16.',
});

export const GrantRule = Type.Object(
  {
    scope: ScopeTemplate,
    user: ValueTemplate,
    when: Type.Optional(
      Type.Object(
        {
          field: FieldPath,
          in: Type.Array(Type.Unknown(), { minItems: 1, maxItems: 32, description: 'Values of the field.' }),
        },
        { description: 'Only while the field has one of the values; absent: always.' },
      ),
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
  kind: Type.Literal('declarative', { description: 'By the rules below.' }),
  fields: Type.Union([Type.Literal('*'), Type.Array(FieldName, { maxItems: 200 })], {
    description: 'The fields that devices see; `*`: all.',
  }),
  scopes: Type.Array(ScopeTemplate, { minItems: 1, maxItems: 16, description: 'Where devices see it.' }),
  docUpdateField: Type.Optional(
    Type.With(FieldName, { description: 'The field of an event’s data that has the document.' }),
  ),
});

export const RemoteProjection = Type.Object({
  kind: Type.Literal('remote', { description: 'By asking `subject` (RemoteProjectionRequest).' }),
  subject: Subject,
});

const described = (description: string) => Type.Unsafe<JsonValue>(Type.Unknown({ description }));

/**
 * The types are `UpcastStep` and `Upcaster` of `libs/domain`, which says what each step does;
 * registration.test.ts keeps both equal.
 */
const UpcastStep = Type.Union([
  Type.Object({
    kind: Type.Literal('rename', { description: 'The field is called `to` from then on.' }),
    field: FieldName,
    to: FieldName,
  }),
  Type.Object({
    kind: Type.Literal('move', { description: 'A nested field becomes the top-level field `to`.' }),
    field: FieldPath,
    to: FieldName,
  }),
  Type.Object({ kind: Type.Literal('remove', { description: 'The field is left out.' }), field: FieldPath }),
  Type.Object({
    kind: Type.Literal('default', { description: 'Only of a whole entity that lacks the field.' }),
    field: FieldName,
    value: described('The value that it gets.'),
  }),
  Type.Object({
    kind: Type.Literal('replace', { description: 'One value becomes another one.' }),
    field: FieldName,
    values: Type.Array(Type.Object({ from: described('The old value.'), to: described('The new one.') }), {
      minItems: 1,
      maxItems: 64,
      description: 'A value that is not here stays as it is.',
    }),
  }),
]);

const OldVersion = Type.With(SchemaVersion, { description: 'The version that it lifts.' });

export const Upcaster = Type.Union(
  [
    Type.Object({
      from: OldVersion,
      steps: Type.Array(UpcastStep, { maxItems: 64, description: 'One after the other.' }),
    }),
    Type.Object({ from: OldVersion, subject: Subject }),
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
    review: Type.Optional(
      Type.Enum(['none', 'collisions'], {
        description: '`collisions`: a person decides where both sides changed the same field (POLICY-7).',
      }),
    ),
    projection: Type.Union([DeclarativeProjection, RemoteProjection], {
      description: 'What devices see of an entity, and in which scopes.',
    }),
    grants: Type.Optional(
      Type.Array(GrantRule, { maxItems: 16, description: 'Who holds a scope because of an entity.' }),
    ),
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
    pushSubject: Type.Optional(
      Type.With(Subject, { description: 'Default: `sync.push.v1.<service>.<entityType>`.' }),
    ),
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
    snapshotSubject: Type.Optional(
      Type.With(Subject, { description: 'Default: `sync.snapshot.v1.<service>.<entityType>`.' }),
    ),
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
  {
    service: ServiceName,
    entityTypes: Type.Array(EntityTypeRegistration, {
      minItems: 1,
      maxItems: 200,
      description: 'All that the service owns.',
    }),
  },
  { $id: 'SyncRegistration' },
);
export type SyncRegistration = Static<typeof SyncRegistration>;

/** One registered entity type with its owner, as the gateway and the projector keep it. */
export interface RegisteredEntityType extends EntityTypeRegistration {
  readonly service: string;
}
