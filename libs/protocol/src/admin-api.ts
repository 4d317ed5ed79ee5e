/**
 * What the admin API of the gateway asks the other apps over NATS (its HTTP side: admin-operations.ts).
 *
 * The gateway joins nothing: projector, resolver and device-health answer for their own tables. Every request
 * carries the tenant of the administrator's token and the answer holds nothing of any other tenant. Lists are
 * pages: `next` is opaque to everybody but the app that gave it, null on the last page. Errors over NATS come
 * as `{error: {code, message, errors?}}` with a problem code.
 */
import Type, { type Static } from 'typebox';
import { Revision } from './owner-api.ts';
import {
  Count,
  DeviceId,
  EntityId,
  EntityType,
  Position,
  SchemaVersion,
  Scope,
  TenantId,
  Timestamp,
  UserId,
  VectorClock,
} from './scalars.ts';

/** Entries of one page at most, and the default is a fifth of it. */
export const ADMIN_PAGE_SIZE = 500;

export const PageCursor = Type.String({
  minLength: 1,
  maxLength: 1024,
  description: '`next` of the page before.',
});
export const PageLimit = Type.Integer({ minimum: 1, maximum: ADMIN_PAGE_SIZE });
export const Next = Type.Union([PageCursor, Type.Null()]);
export const RecordId = Type.String({ pattern: '^[A-Za-z0-9-]{1,64}$' });
const Cause = Type.String({ maxLength: 4000, description: 'For people.' });

const page = { tenantId: TenantId, cursor: Next, limit: PageLimit };

// ---- device-health: `sync.health.v1.devices`
// --------------------------------------------------------------------

export const DeviceStatus = Type.Enum(['healthy', 'lagging', 'offline', 'stale', 'at_risk', 'revoked'], {
  description:
    'From harmless to final, see libs/domain assessDevice: lagging passes by itself, at_risk means work ' +
    'may be lost or data is wrong.',
});
export type DeviceStatus = Static<typeof DeviceStatus>;

export const DevicesRequest = Type.Object(
  {
    ...page,
    deviceId: Type.Optional(DeviceId),
    userId: Type.Optional(UserId),
    status: Type.Optional(DeviceStatus),
  },
  {
    $id: 'DevicesRequest',
    description:
      'With `deviceId`: that device only, with a page of its scopes; `cursor` and `next` are theirs then.',
  },
);
export type DevicesRequest = Static<typeof DevicesRequest>;

export const DeviceHealth = Type.Object(
  {
    deviceId: DeviceId,
    userId: UserId,
    status: DeviceStatus,
    reasons: Type.Array(Type.String({ maxLength: 200 }), {
      description: 'Why the status is what it is; for people.',
    }),
    lastSeenAt: Type.Union([Timestamp, Type.Null()]),
    connected: Type.Boolean({ description: 'Holds a live socket or a waiting pull.' }),
    pending: Type.Union([Count, Type.Null()], {
      description: 'Unpushed mutations by the device’s own count.',
    }),
    oldestPendingAt: Type.Union([Timestamp, Type.Null()]),
    clockOffsetMs: Type.Union([Type.Integer(), Type.Null()], {
      description: 'Device time minus server time.',
    }),
    fullResyncs: Count,
    lastFullResyncAt: Type.Union([Timestamp, Type.Null()]),
    updatedAt: Timestamp,
    scopes: Type.Optional(
      Type.Array(
        Type.Object({
          scope: Scope,
          ackedSequence: Type.Union([Position, Type.Null()]),
          headSequence: Type.Union([Position, Type.Null()]),
          stalenessMs: Type.Union([Count, Type.Null()]),
        }),
        { description: 'In the detail of one device only, by name; at most 500 at once.' },
      ),
    ),
  },
  { $id: 'DeviceHealth' },
);
export type DeviceHealth = Static<typeof DeviceHealth>;

export const DevicesReply = Type.Object(
  { devices: Type.Array(DeviceHealth), next: Next },
  { $id: 'DevicesReply' },
);
export type DevicesReply = Static<typeof DevicesReply>;

// ---- delta-projector: dead letters
// ------------------------------------------------------------------------------

export const DeadLetterStatus = Type.Enum(['quarantined', 'replayed'], {
  description: 'quarantined: its entity waits; replayed: processed after all, kept for the record.',
});
export type DeadLetterStatus = Static<typeof DeadLetterStatus>;

/** `sync.dead-letters.v1.list` */
export const DeadLettersRequest = Type.Object(
  {
    ...page,
    status: Type.Optional(DeadLetterStatus),
    entityType: Type.Optional(EntityType),
    entityId: Type.Optional(EntityId),
  },
  { $id: 'DeadLettersRequest', description: 'Newest first.' },
);
export type DeadLettersRequest = Static<typeof DeadLettersRequest>;

export const DeadLetter = Type.Object(
  {
    deadLetterId: RecordId,
    status: DeadLetterStatus,
    producer: Type.String({ maxLength: 200 }),
    eventId: Type.Union([Type.String({ maxLength: 200 }), Type.Null()]),
    entityType: Type.Union([Type.String({ maxLength: 200 }), Type.Null()]),
    entityId: Type.Union([Type.String({ maxLength: 200 }), Type.Null()]),
    revision: Type.Union([Revision, Type.Null()]),
    code: Type.String({ pattern: '^[a-z][a-z0-9_]{0,63}$' }),
    cause: Cause,
    attempts: Count,
    firstFailedAt: Timestamp,
    lastFailedAt: Timestamp,
    event: Type.Optional(Type.Unknown({ description: 'The event as it came.' })),
  },
  { $id: 'DeadLetter' },
);
export type DeadLetter = Static<typeof DeadLetter>;

export const DeadLettersReply = Type.Object(
  { deadLetters: Type.Array(DeadLetter), next: Next },
  { $id: 'DeadLettersReply' },
);
export type DeadLettersReply = Static<typeof DeadLettersReply>;

/** `sync.dead-letters.v1.replay` */
export const DeadLetterReplayRequest = Type.Object(
  {
    tenantId: TenantId,
    deadLetterIds: Type.Optional(Type.Array(RecordId, { minItems: 1, maxItems: ADMIN_PAGE_SIZE })),
    entityType: Type.Optional(EntityType),
    entityId: Type.Optional(EntityId),
  },
  {
    $id: 'DeadLetterReplayRequest',
    description: 'Without ids: every quarantined one that matches, oldest first.',
  },
);
export type DeadLetterReplayRequest = Static<typeof DeadLetterReplayRequest>;

export const DeadLetterReplayReply = Type.Object(
  {
    replayed: Count,
    failed: Type.Array(Type.Object({ deadLetterId: RecordId, code: Type.String(), cause: Cause }), {
      description: 'Still quarantined; an unknown id is listed with code `not_found`.',
    }),
    remaining: Type.Object({ quarantined: Count }, { description: 'Of the tenant, after this replay.' }),
  },
  { $id: 'DeadLetterReplayReply' },
);
export type DeadLetterReplayReply = Static<typeof DeadLetterReplayReply>;

// ---- delta-projector: explain
// -----------------------------------------------------------------------------------

/** `sync.explain.v1.projector` */
export const ExplainRequest = Type.Object(
  { tenantId: TenantId, entityType: EntityType, entityId: EntityId },
  { $id: 'ExplainRequest' },
);
export type ExplainRequest = Static<typeof ExplainRequest>;

export const ExplainReply = Type.Object(
  {
    entity: Type.Union([
      Type.Null(),
      Type.Object({
        revision: Revision,
        clock: VectorClock,
        deleted: Type.Boolean(),
        schemaVersion: SchemaVersion,
        projectedAt: Timestamp,
        scopes: Type.Array(
          Type.Object({
            scope: Scope,
            epoch: Type.String(),
            sequence: Type.Union([Position, Type.Null()], {
              description: 'Of the entity’s last delta there.',
            }),
            headSequence: Position,
          }),
          { description: 'Scopes that hold the entity now.' },
        ),
        grants: Type.Array(Type.Object({ scope: Scope, userId: UserId }), { maxItems: 64 }),
      }),
    ]),
    deadLetter: Type.Union([DeadLetter, Type.Null()], { description: 'When the entity is quarantined.' }),
  },
  { $id: 'ExplainReply', description: '`entity` null: the projector never saw it in this tenant.' },
);
export type ExplainReply = Static<typeof ExplainReply>;
