import Type from 'typebox';
import { LIMITS } from './limits.ts';
import {
  DEVICE_ID_PATTERN,
  ENTITY_ID_PATTERN,
  ENTITY_TYPE_PATTERN,
  MUTATION_ID_PATTERN,
  SCOPE_PATTERN,
  SERVICE_PATTERN,
  TENANT_ID_PATTERN,
  USER_ID_PATTERN,
} from './patterns.ts';

/**
 * RFC 3339 without what one of our readers would refuse or move: no leap second (JavaScript's Date has none),
 * no year 0 and no offset beyond 14 hours (Postgres refuses them). `format: 'date-time'` adds the days of
 * each month.
 */
const TIMESTAMP_PATTERN =
  '^(?!0000)\\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\\d|3[01])T([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,9})?(Z|[+-](0\\d|1[0-3]):[0-5]\\d|[+-]14:00)$';

export const TenantId = Type.String({
  pattern: TENANT_ID_PATTERN,
  description: 'From the token claim `tid`.',
});
export const UserId = Type.String({ pattern: USER_ID_PATTERN, description: 'From the token claim `sub`.' });
export const DeviceId = Type.String({
  pattern: DEVICE_ID_PATTERN,
  description: 'The `keyid` of the signature.',
});
export const EntityType = Type.String({
  pattern: ENTITY_TYPE_PATTERN,
  description: 'A kind of entity, as its owner has registered it.',
});
export const EntityId = Type.String({
  pattern: ENTITY_ID_PATTERN,
  description: 'Unique within its tenant and entity type.',
});
export const ServiceName = Type.String({ pattern: SERVICE_PATTERN, description: 'The owning service.' });
export const Scope = Type.String({
  pattern: SCOPE_PATTERN,
  description: '`<kind>:<id>`, such as `user:u1`.',
});
export const MutationId = Type.String({ pattern: MUTATION_ID_PATTERN, description: 'UUID, lower case.' });
/**
 * A UUID as a device may write it: RFC 9562 reads either case, and some platforms print capitals. Readers
 * make it lower case before they compare.
 */
export const SentUuid = Type.String({
  pattern: MUTATION_ID_PATTERN.replaceAll('a-f', 'a-fA-F'),
  description: 'UUID in either case; answered in lower case.',
});
export const Timestamp = Type.String({
  format: 'date-time',
  pattern: TIMESTAMP_PATTERN,
  description: 'RFC 3339, no leap second.',
});
export const CursorToken = Type.String({
  minLength: 1,
  maxLength: 2048,
  description: 'Opaque, tamper-proof.',
});
export const DigestHash = Type.String({ pattern: '^[0-9a-f]{64}$' });
// Groups of four would be checked by the pattern itself, but a repeated group overflows the stack on 8 MiB of
// text; one character class does not, and the rest is arithmetic.
export const Base64 = Type.Refine(
  Type.String({
    pattern: '^[A-Za-z0-9+/]*={0,2}$',
    contentEncoding: 'base64',
    description: 'RFC 4648 base64 with padding.',
  }),
  (text) => text.length % 4 === 0,
  () => 'must be base64 with its padding',
);
/** 32 bytes: what HMAC-SHA-256 gives. */
export const MutationTag = Type.String({
  pattern: '^[A-Za-z0-9+/]{43}=$',
  contentEncoding: 'base64',
  description:
    'HMAC-SHA-256 by the mutation’s device over all its other fields (PUSH-22), base64. Required where the ' +
    'registration says `requiresTags`.',
});
export const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
export const SchemaVersion = Type.Integer({
  minimum: 1,
  maximum: 1_000_000,
  description: 'Of the entity’s data, as the registration counts it.',
});
/** Decimal text: 64-bit positions never travel as JSON numbers. */
export const Position = Type.String({ pattern: '^(0|[1-9]\\d{0,18})$' });
export const EntityData = Type.Record(Type.String(), Type.Unknown(), {
  description: 'The entity, a JSON object.',
});

// F06 lets a replica id be nearly any text; the wire takes only those that a deviceId or a service name can
// make.
const REPLICA_ID_PATTERN = '^(d:[A-Za-z0-9._~-]{1,128}|s:[a-z][a-z0-9-]{0,63})$';

export const VectorClock = Type.Record(
  Type.String({ pattern: REPLICA_ID_PATTERN }),
  Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  {
    additionalProperties: false,
    maxProperties: LIMITS.clockEntries,
    description:
      'replicaId → counter: `d:<deviceId>` counts mutations, `s:<service>` the owner’s own changes.',
  },
);

export const ConflictPolicy = Type.Enum(['append_only', 'crdt_yjs', 'lww', 'server_authoritative'], {
  description: 'How concurrent changes are decided: POLICY-1 to POLICY-14.',
});
export const MutationOp = Type.Enum(['put', 'patch', 'delete', 'append', 'merge']);
export const DeltaOp = Type.Enum(['put', 'delete', 'merge']);
export const OutcomeStatus = Type.Enum([
  'applied',
  'merged',
  'superseded',
  'rejected',
  'conflict',
  'accepted',
]);
