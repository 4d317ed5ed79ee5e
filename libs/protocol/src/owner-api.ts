/**
 * What an owning service answers over NATS: push, snapshot, remote projection; and what it asks:
 * registration.
 */
import Type, { type Static } from 'typebox';
import { DocumentOverlaps } from './document-overlaps.ts';
import { FieldWrites } from './field-writes.ts';
import { LIMITS } from './limits.ts';
import {
  Base64,
  DeviceId,
  EntityData,
  EntityId,
  EntityType,
  MutationId,
  MutationOp,
  MutationTag,
  SchemaVersion,
  Scope,
  TenantId,
  Timestamp,
  UserId,
  VectorClock,
} from './scalars.ts';
import { SyncRegistration } from './registration.ts';

export const Revision = Type.Integer({
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description:
    'The owner’s version of an entity: 1 for the first state, one higher for each change, also for a ' +
    'deletion; 0: it does not exist.',
});

/** Words of a language model that a person accepted, for lines of a document. */
export const AcceptedWords = Type.Object(
  {
    suggestionId: Type.String({ pattern: '^[A-Za-z0-9-]{1,64}$' }),
    edits: Type.Array(
      Type.Object({
        path: Type.String({ minLength: 1, maxLength: 1000, description: 'Name of a text of the document.' }),
        was: Type.String({
          minLength: 1,
          maxLength: 1000,
          description: 'The line, or lines in a row, that stand there, without the last line break.',
        }),
        text: Type.String({ maxLength: 10_000 }),
      }),
      { minItems: 1, maxItems: 100 },
    ),
  },
  {
    $id: 'AcceptedWords',
    description:
      'Of the conflict-resolver only, never of a device. The owner writes them under a clientID of the ' +
      'range of suggestions, or refuses all of them with `block_moved` when a line does not stand there, ' +
      'or stands there twice.',
  },
);
export type AcceptedWords = Static<typeof AcceptedWords>;

/**
 * A mutation as the owner gets it: `data` is the decided value (after a merge), `clock` the entity's clock
 * once it is applied.
 */
export const PushedMutation = Type.Object(
  {
    mutationId: MutationId,
    userId: UserId,
    deviceId: DeviceId,
    scope: Scope,
    entityType: EntityType,
    entityId: EntityId,
    op: MutationOp,
    data: Type.Union([EntityData, Type.Null()]),
    update: Type.Optional(Base64),
    /** Of a `merge` without `update`: an accepted suggestion. */
    suggestion: Type.Optional(AcceptedWords),
    clock: VectorClock,
    /**
     * Of a `merge`: what its device had seen. An owner that keeps documents compares it with what was written
     * since.
     */
    baseClock: Type.Optional(VectorClock),
    expectedRevision: Revision,
    occurredAt: Timestamp,
    schemaVersion: SchemaVersion,
    fieldWrites: Type.Optional(
      Type.With(FieldWrites, {
        description:
          'What the decision says about who wrote which field. Absent: the mutation is as its device sent ' +
          'it, and wrote what it names. The owner passes it on in `mutationwrites` of its event.',
      }),
    ),
    refuse: Type.Optional(
      Type.Object(
        {
          code: Type.String({ pattern: '^[a-z][a-z0-9_]{0,63}$' }),
          message: Type.Optional(Type.String({ maxLength: 1000 })),
        },
        {
          description:
            'It may have come before, and is not to be carried out any more. An owner that has applied ' +
            'it answers as it did then. Any other owner answers `rejected` with this code and keeps ' +
            'that as its answer, for the first request may still be on its way. Only sent where the ' +
            'registration says `pushRefuses`.',
        },
      ),
    ),
    identity: Type.Optional(
      Type.String({
        pattern: '^[0-9a-f]{72}$',
        description:
          'Which change it is, as its device sent it: 32 digits of user, entity, op, scope, moment and update, 8 of the schemaVersion, 32 of the ' +
          'data. An owner that keeps it beside its answer refuses another change under the same mutationId (`mutation_id_reused`) once the first ' +
          'was applied, and decides anew where that was rejected. Under another schemaVersion the data ' +
          'does not count. Absent from resolutions.',
      }),
    ),
    dataDigest: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9_-]{43}$',
        description:
          'Of an `append` whose data is as its device sent it: SHA-256 of the canonical JSON of `data`, ' +
          'base64url. Spares an owner the work that knows a record again by what was sent.',
      }),
    ),
    tag: Type.Optional(MutationTag),
  },
  { $id: 'PushedMutation' },
);
export type PushedMutation = Static<typeof PushedMutation>;

/**
 * Mutations of one entity follow each other with consecutive `expectedRevision`s, each counted on the success
 * of the one before: once one is answered `conflict`, the owner answers `conflict` to all that follow for
 * that entity in the request, whatever they expect. An owner whose registration does not promise that
 * (`pushChains`) gets one mutation of an entity at a time.
 */
export const OwnerPushRequest = Type.Object(
  {
    tenantId: TenantId,
    mutations: Type.Array(PushedMutation, { minItems: 1, maxItems: LIMITS.mutationsPerPush }),
    shared: Type.Optional(
      Type.Boolean({
        description:
          'The mutations are of several pushes (`pushShares`), of as many entities, each under its own ' +
          'mutationId. Whoever cannot do all of them soon answers the error `shared_failed` and has done ' +
          'none; then each push comes in a request of its own.',
      }),
    ),
  },
  { $id: 'OwnerPushRequest' },
);
export type OwnerPushRequest = Static<typeof OwnerPushRequest>;

const OwnerClock = Type.With(VectorClock, {
  description:
    'The entity’s clock, from an owner that counts by itself as the SDK does (CLOCK-1, CLOCK-3). Others ' +
    'leave it out everywhere, and the projector counts (OWNER-6).',
});
const WholeData = Type.Union([EntityData, Type.Null()], {
  description: 'The whole entity; null where it is deleted or was never there.',
});
const Deleted = Type.Boolean({
  description: 'True: it was there, and its revision goes on when it is made anew.',
});

export const OwnerState = Type.Object(
  { revision: Revision, clock: Type.Optional(OwnerClock), data: WholeData, deleted: Deleted },
  { $id: 'OwnerState', description: 'The entity as it stands.' },
);
export type OwnerState = Static<typeof OwnerState>;

const RefusalCode = Type.String({
  pattern: '^[a-z][a-z0-9_]{0,63}$',
  description: 'Why, for the app: one of the service’s own codes.',
});
const RefusalMessage = Type.String({ maxLength: 1000, description: 'Why, for the person who wrote it.' });

export const OwnerPushResult = Type.Union(
  [
    Type.Object({
      mutationId: MutationId,
      status: Type.Literal('applied', { description: 'The change is stored.' }),
      revision: Revision,
      clock: Type.Optional(OwnerClock),
      changed: Type.Optional(
        Type.Boolean({
          description:
            'True: a value that the mutation named does not stand as sent, because the owner changed it. ' +
            'The outcome is `merged` then, with `current`.',
        }),
      ),
      data: Type.Optional(
        Type.Union([EntityData, Type.Null()], {
          description:
            'Of what is `changed`: the entity as it stands, null when it is deleted. Left out, the gateway ' +
            'waits for the projection to show it.',
        }),
      ),
      overlaps: Type.Optional(DocumentOverlaps),
    }),
    Type.Object({
      mutationId: MutationId,
      status: Type.Literal('rejected', { description: 'For good: a repetition is answered the same.' }),
      code: RefusalCode,
      message: Type.Optional(RefusalMessage),
    }),
    Type.Object({
      mutationId: MutationId,
      status: Type.Literal('conflict', {
        description: 'The entity has another revision than expected. Do not store this answer (OWNER-4).',
      }),
      current: OwnerState,
    }),
  ],
  { $id: 'OwnerPushResult' },
);
export type OwnerPushResult = Static<typeof OwnerPushResult>;

export const OwnerPushReply = Type.Object(
  {
    results: Type.Array(OwnerPushResult, {
      description: 'One for each mutation, in any order. What is left out is asked for again.',
    }),
  },
  { $id: 'OwnerPushReply' },
);
export type OwnerPushReply = Static<typeof OwnerPushReply>;

/**
 * `sync.upcast.v1.<service>.<entityType>`, or the subject that the registration names: mutations of one older
 * version.
 */
export const UpcastRequest = Type.Object(
  {
    tenantId: TenantId,
    entityType: EntityType,
    from: SchemaVersion,
    mutations: Type.Array(Type.Object({ mutationId: MutationId, op: MutationOp, data: EntityData }), {
      minItems: 1,
      maxItems: LIMITS.mutationsPerPush,
    }),
  },
  {
    $id: 'UpcastRequest',
    description: 'Only mutations with data: `put`, `patch` and `append`. A patch names some fields.',
  },
);
export type UpcastRequest = Static<typeof UpcastRequest>;

export const UpcastReply = Type.Object(
  {
    results: Type.Array(
      Type.Union([
        Type.Object({ mutationId: MutationId, data: EntityData }),
        Type.Object({
          mutationId: MutationId,
          code: RefusalCode,
          message: Type.Optional(RefusalMessage),
        }),
      ]),
      { maxItems: LIMITS.mutationsPerPush, description: 'One for each mutation, in any order.' },
    ),
  },
  {
    $id: 'UpcastReply',
    description:
      'The data as version `from + 1` writes it, or the code of a rejected outcome. What is missing is ' +
      'asked for again.',
  },
);
export type UpcastReply = Static<typeof UpcastReply>;

export const SnapshotRequest = Type.Object(
  {
    cursor: Type.Union([Type.String({ maxLength: 1024 }), Type.Null()]),
    limit: Type.Integer({ minimum: 1, maximum: 1000 }),
    entities: Type.Optional(
      Type.Array(Type.Object({ tenantId: TenantId, entityId: EntityId }), {
        minItems: 1,
        maxItems: 100,
        description: 'Only these, as many as fit into a page; `cursor` is null then, and so is `next`.',
      }),
    ),
  },
  {
    $id: 'SnapshotRequest',
    description: 'All tenants; pages in an order of the owner’s choice that does not skip.',
  },
);
export type SnapshotRequest = Static<typeof SnapshotRequest>;

export const SnapshotEntity = Type.Object(
  {
    tenantId: TenantId,
    entityId: EntityId,
    revision: Revision,
    clock: Type.Optional(OwnerClock),
    data: WholeData,
    deleted: Deleted,
    changedAt: Type.Optional(Type.With(Timestamp, { description: 'When its last change was committed.' })),
  },
  { $id: 'SnapshotEntity' },
);
export type SnapshotEntity = Static<typeof SnapshotEntity>;

export const SnapshotPage = Type.Object(
  {
    entities: Type.Array(SnapshotEntity, {
      description: 'At most `limit`, of all tenants.',
    }),
    next: Type.Union([Type.String({ maxLength: 1024 }), Type.Null()], {
      description: '`cursor` of the next page; null: this was the last one.',
    }),
  },
  { $id: 'SnapshotPage' },
);
export type SnapshotPage = Static<typeof SnapshotPage>;

/**
 * `sync.registry.v1.register.<service>`: the SyncRegistration itself. Errors come as `{error: {code, message,
 * errors?}}`.
 */
export const RegisterReply = Type.Object({ registered: Type.Array(EntityType) }, { $id: 'RegisterReply' });
export type RegisterReply = Static<typeof RegisterReply>;

/** `sync.registry.v1.list` */
export const RegistryListRequest = Type.Object({
  after: Type.Optional(Type.Union([EntityType, Type.Null()], { description: '`next` of the page before.' })),
});
export type RegistryListRequest = Static<typeof RegistryListRequest>;
export const RegistryListReply = Type.Object({
  registrations: Type.Array(SyncRegistration, {
    description: 'By entity type, as many as fit one message: a service may come with some of its types.',
  }),
  next: Type.Optional(Type.Union([EntityType, Type.Null()])),
});
export type RegistryListReply = Static<typeof RegistryListReply>;

/** A remote projector is asked with a batch of events and answers what each entity shows in which scopes. */
export const RemoteProjectionRequest = Type.Object(
  {
    entities: Type.Array(
      Type.Object({
        tenantId: TenantId,
        entityType: EntityType,
        entityId: EntityId,
        revision: Revision,
        data: Type.Union([EntityData, Type.Null()]),
      }),
    ),
  },
  { $id: 'RemoteProjectionRequest' },
);
export type RemoteProjectionRequest = Static<typeof RemoteProjectionRequest>;

export const RemoteProjectionReply = Type.Object(
  {
    entities: Type.Array(
      Type.Object({
        data: Type.Union([EntityData, Type.Null()], { description: 'What devices see; null: nothing.' }),
        scopes: Type.Array(Scope, { maxItems: 64, description: 'Where they see it.' }),
        grants: Type.Optional(
          Type.Array(Type.Object({ scope: Scope, userId: UserId }), {
            maxItems: 64,
            description: 'Who holds which scope because of this entity.',
          }),
        ),
      }),
      { description: 'One per asked entity, same order.' },
    ),
  },
  { $id: 'RemoteProjectionReply' },
);
export type RemoteProjectionReply = Static<typeof RemoteProjectionReply>;
