/** The HTTP side of the admin API `/admin/v1/`: answers, query parameters, and its operations as data. */
import Type, { type Static } from 'typebox';
import {
  DeadLetterReplayReply,
  DeadLetterReplayRequest,
  DeadLetterStatus,
  DeadLettersReply,
  DeviceHealth,
  DeviceStatus,
  DevicesReply,
  Next,
  PageCursor,
  PageLimit,
  RecordId,
} from './admin-api.ts';
import {
  ALL_WHO_LOOK,
  CONFLICT_READERS,
  ONLY_ADMINS,
  ONLY_OPERATORS,
  REGISTRATION_READERS,
} from './admin-roles.ts';
import type { AdminOperation } from './admin-operation.ts';
import { AUDIT_OPERATIONS } from './audit-operations.ts';
import { ConflictHistoryReply, ConflictVerifyReply, ConflictsReply } from './conflict-api.ts';
import { ConflictResponse, ConflictStatus } from './conflict-record.ts';
import { Revision } from './owner-api.ts';
import { SyncRegistration } from './registration.ts';
import { SuggestionSettings, SuggestionSettingsReply } from './suggestion.ts';
import {
  ConflictPolicy,
  DeviceId,
  EntityId,
  EntityType,
  Scope,
  ServiceName,
  Timestamp,
  UserId,
  SentUuid,
} from './scalars.ts';

const serverTime = { serverTime: Timestamp };

export const AdminRegistration = Type.Object(
  { ...SyncRegistration.properties, updatedAt: Timestamp },
  { $id: 'AdminRegistration' },
);
export type AdminRegistration = Static<typeof AdminRegistration>;

export const AdminRegistrationsResponse = Type.Object(
  { ...serverTime, registrations: Type.Array(AdminRegistration), next: Type.Optional(Next) },
  { $id: 'AdminRegistrationsResponse' },
);
export const AdminRegistrationResponse = Type.Object(
  { ...serverTime, registration: AdminRegistration },
  { $id: 'AdminRegistrationResponse' },
);
export const AdminDevicesResponse = Type.Object(
  { ...serverTime, ...DevicesReply.properties },
  { $id: 'AdminDevicesResponse' },
);
export const AdminDeviceResponse = Type.Object(
  {
    ...serverTime,
    device: DeviceHealth,
    next: Type.Optional(Type.Union([PageCursor, Type.Null()], { description: 'Of its scopes.' })),
  },
  { $id: 'AdminDeviceResponse' },
);
export const AdminConflictsResponse = Type.Object(
  { ...serverTime, ...ConflictsReply.properties },
  { $id: 'AdminConflictsResponse' },
);
export const AdminConflictHistoryResponse = Type.Object(
  { ...serverTime, ...ConflictHistoryReply.properties },
  { $id: 'AdminConflictHistoryResponse' },
);
export const AdminConflictVerifyResponse = Type.Object(
  { ...serverTime, ...ConflictVerifyReply.properties },
  { $id: 'AdminConflictVerifyResponse' },
);
export const AdminDeadLettersResponse = Type.Object(
  { ...serverTime, ...DeadLettersReply.properties },
  { $id: 'AdminDeadLettersResponse' },
);
export const AdminReplayResponse = Type.Object(
  { ...serverTime, ...DeadLetterReplayReply.properties },
  { $id: 'AdminReplayResponse' },
);

/**
 * `POST /admin/v1/dead-letters/replay`; without a body, or with an empty object, it replays all of the
 * tenant.
 */
export const AdminReplayBody = Type.Omit(DeadLetterReplayRequest, ['tenantId'], { $id: 'AdminReplayBody' });
export type AdminReplayBody = Static<typeof AdminReplayBody>;

export const ExplainStep = Type.Object(
  {
    step: Type.Enum(['device', 'registration', 'projection', 'scope', 'grant', 'cursor', 'mutation']),
    ok: Type.Boolean({ description: 'False: this is where the entity stops on its way to the device.' }),
    detail: Type.String({ description: 'In plain words.' }),
    facts: Type.Record(Type.String(), Type.Unknown()),
  },
  { $id: 'ExplainStep' },
);
export type ExplainStep = Static<typeof ExplainStep>;

export const AdminExplainResponse = Type.Object(
  {
    ...serverTime,
    deviceId: DeviceId,
    userId: Type.Union([UserId, Type.Null()]),
    entityType: EntityType,
    entityId: EntityId,
    has: Type.Union([Type.Boolean(), Type.Null()], {
      description: 'Whether the device holds the entity as it is now; null when nobody can tell.',
    }),
    summary: Type.String(),
    steps: Type.Array(ExplainStep),
  },
  { $id: 'AdminExplainResponse' },
);
export type AdminExplainResponse = Static<typeof AdminExplainResponse>;

export const AdminScopesResponse = Type.Object(
  {
    ...serverTime,
    userId: UserId,
    grants: Type.Array(
      Type.Object({
        scope: Scope,
        sources: Type.Array(Type.Object({ entityType: EntityType, entityId: EntityId, revision: Revision }), {
          description:
            'The entities that grant it, at most 20; empty for the user’s own scope, which nobody can take ' +
            'away.',
        }),
        moreSources: Type.Optional(Type.Literal(true, { description: 'Others grant it, too.' })),
      }),
    ),
    next: Type.Optional(Next),
  },
  { $id: 'AdminScopesResponse' },
);
export type AdminScopesResponse = Static<typeof AdminScopesResponse>;

export const MissingPurge = Type.Object(
  { userId: UserId, deviceId: DeviceId, scope: Scope, revokedAt: Type.Union([Timestamp, Type.Null()]) },
  {
    $id: 'MissingPurge',
    description: 'A device that was given a scope since revoked and has not acked its purge.',
  },
);
export type MissingPurge = Static<typeof MissingPurge>;

export const AdminMissingPurgesResponse = Type.Object(
  { ...serverTime, missing: Type.Array(MissingPurge), next: Next },
  { $id: 'AdminMissingPurgesResponse' },
);

export const AdminSuggestionsResponse = Type.Object(
  { ...serverTime, ...SuggestionSettingsReply.properties },
  { $id: 'AdminSuggestionsResponse' },
);

const listQuery = { cursor: Type.Optional(PageCursor), limit: Type.Optional(PageLimit) };

export const AdminDevicesQuery = Type.Object({
  ...listQuery,
  status: Type.Optional(DeviceStatus),
  user: Type.Optional(UserId),
});
export const AdminConflictsQuery = Type.Object({
  ...listQuery,
  status: Type.Optional(ConflictStatus),
  policy: Type.Optional(ConflictPolicy),
  user: Type.Optional(UserId),
  entityType: Type.Optional(EntityType),
  entityId: Type.Optional(EntityId),
  from: Type.Optional(Timestamp),
  to: Type.Optional(Timestamp),
});
export const AdminPageQuery = Type.Object(listQuery);
export const AdminCursorQuery = Type.Pick(AdminPageQuery, ['cursor']);
export const AdminDeadLettersQuery = Type.Object({
  ...listQuery,
  status: Type.Optional(DeadLetterStatus),
  entityType: Type.Optional(EntityType),
});
export const AdminMissingPurgesQuery = Type.Object(listQuery);
export const AdminExplainQuery = Type.Object({
  device: DeviceId,
  entity: Type.String({
    pattern: '^[a-z][a-z0-9_-]{0,63}/[A-Za-z0-9._~:-]{1,128}$',
    description: '`<entityType>/<entityId>`',
  }),
});

export const ADMIN_OPERATIONS: readonly AdminOperation[] = [
  {
    method: 'get',
    path: '/admin/v1/registrations',
    roles: REGISTRATION_READERS,
    summary: 'Every SyncRegistration, by service',
    query: AdminPageQuery,
    response: AdminRegistrationsResponse,
    problems: ['schema_invalid'],
  },
  {
    method: 'get',
    path: '/admin/v1/registrations/{service}',
    roles: REGISTRATION_READERS,
    summary: 'The SyncRegistration of one service',
    params: { service: ServiceName },
    response: AdminRegistrationResponse,
    problems: ['not_found'],
  },
  {
    method: 'put',
    path: '/admin/v1/registrations/{service}',
    roles: ONLY_OPERATORS,
    audited: 'with_change',
    summary: 'Registers entity types of a service, or changes them',
    params: { service: ServiceName },
    body: SyncRegistration,
    response: AdminRegistrationResponse,
    problems: [
      'malformed_json',
      'schema_invalid',
      'registration_invalid',
      'entity_type_taken',
      'payload_too_large',
    ],
  },
  {
    method: 'get',
    path: '/admin/v1/devices',
    roles: ALL_WHO_LOOK,
    summary: 'Devices of the tenant and their health',
    query: AdminDevicesQuery,
    response: AdminDevicesResponse,
    problems: ['schema_invalid'],
  },
  {
    method: 'get',
    path: '/admin/v1/devices/{deviceId}',
    roles: ALL_WHO_LOOK,
    summary: 'One device and its health, scope by scope',
    params: { deviceId: DeviceId },
    query: AdminCursorQuery,
    response: AdminDeviceResponse,
    problems: ['not_found', 'schema_invalid'],
  },
  {
    method: 'get',
    path: '/admin/v1/conflicts',
    roles: CONFLICT_READERS,
    summary: 'ConflictRecords across the users of the tenant',
    query: AdminConflictsQuery,
    response: AdminConflictsResponse,
    problems: ['schema_invalid', 'cursor_invalid'],
  },
  {
    method: 'get',
    path: '/admin/v1/conflicts/verify',
    roles: CONFLICT_READERS,
    summary: 'Walks the hash chain of the tenant’s conflict history and names the first broken link',
    query: AdminPageQuery,
    response: AdminConflictVerifyResponse,
    problems: ['schema_invalid', 'cursor_invalid'],
  },
  {
    method: 'get',
    path: '/admin/v1/conflicts/{id}',
    roles: CONFLICT_READERS,
    summary: 'One ConflictRecord of the tenant',
    params: { id: SentUuid },
    response: ConflictResponse,
    problems: ['not_found'],
  },
  {
    method: 'get',
    path: '/admin/v1/conflicts/{id}/history',
    roles: CONFLICT_READERS,
    summary: 'What happened to one ConflictRecord, oldest first',
    params: { id: SentUuid },
    query: AdminPageQuery,
    response: AdminConflictHistoryResponse,
    problems: ['not_found', 'schema_invalid', 'cursor_invalid'],
  },
  {
    method: 'get',
    path: '/admin/v1/dead-letters',
    roles: ALL_WHO_LOOK,
    summary: 'Events that could not be projected, with their cause',
    query: AdminDeadLettersQuery,
    response: AdminDeadLettersResponse,
    problems: ['schema_invalid'],
  },
  {
    method: 'post',
    path: '/admin/v1/dead-letters/{id}/replay',
    audited: 'around_request',
    roles: ONLY_ADMINS,
    summary: 'Projects one dead letter again',
    params: { id: RecordId },
    response: AdminReplayResponse,
    problems: ['not_found'],
  },
  {
    method: 'post',
    path: '/admin/v1/dead-letters/replay',
    audited: 'around_request',
    roles: ONLY_ADMINS,
    summary: 'Projects all quarantined dead letters again, or those that match',
    body: AdminReplayBody,
    bodyIsOptional: true,
    response: AdminReplayResponse,
    problems: ['malformed_json', 'schema_invalid'],
  },
  {
    method: 'get',
    path: '/admin/v1/explain',
    roles: ALL_WHO_LOOK,
    summary: 'Why a device has or lacks an entity',
    query: AdminExplainQuery,
    response: AdminExplainResponse,
    problems: ['schema_invalid'],
  },
  {
    method: 'get',
    path: '/admin/v1/scopes/{user}',
    roles: ALL_WHO_LOOK,
    summary: 'The scopes that a user holds, and which entities grant them',
    params: { user: UserId },
    query: AdminPageQuery,
    response: AdminScopesResponse,
    problems: ['schema_invalid'],
  },
  {
    method: 'get',
    path: '/admin/v1/suggestions',
    roles: ALL_WHO_LOOK,
    summary: 'Whether the tenant has AI suggestions, their budgets, redaction, and what today has used',
    response: AdminSuggestionsResponse,
    problems: [],
  },
  {
    method: 'put',
    path: '/admin/v1/suggestions',
    audited: 'around_request',
    roles: ONLY_ADMINS,
    summary: 'Switches AI suggestions on or off, with budgets and redaction',
    body: SuggestionSettings,
    response: AdminSuggestionsResponse,
    problems: ['malformed_json', 'schema_invalid', 'suggestions_disabled'],
  },
  {
    method: 'get',
    path: '/admin/v1/purges/missing',
    roles: ALL_WHO_LOOK,
    summary: 'Devices that have not acked the purge of a revoked scope',
    query: AdminMissingPurgesQuery,
    response: AdminMissingPurgesResponse,
    problems: ['schema_invalid'],
  },
  ...AUDIT_OPERATIONS,
];
