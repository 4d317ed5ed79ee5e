/** What the identity service is asked over NATS, and what it tells: devices, their users and their keys. */
import Type, { type Static } from 'typebox';
import { Base64, DeviceId, TenantId, Timestamp, UserId } from './scalars.ts';

/** `identity.device-binding.v1.verify` */
export const DeviceBindingRequest = Type.Object(
  { tenantId: TenantId, userId: UserId, deviceId: DeviceId },
  { $id: 'DeviceBindingRequest' },
);
export type DeviceBindingRequest = Static<typeof DeviceBindingRequest>;

export const DeviceBindingReply = Type.Object(
  {
    status: Type.Enum(['bound', 'unbound', 'revoked']),
    hmacKey: Type.Optional(Base64),
    earlierKeys: Type.Optional(
      Type.Array(Base64, {
        maxItems: 8,
        description:
          'Keys that the device had before this one, newest first. Tags that were made with them are still ' +
          'good; requests are signed with `hmacKey`, or with the first of these until `previousKeyUntil`.',
      }),
    ),
    previousKeyUntil: Type.Optional(Timestamp),
  },
  {
    $id: 'DeviceBindingReply',
    description:
      'With `revoked` and `unbound` the keys may come, too: no request is accepted by them, but what the ' +
      'device had tagged before, and what waits, is verified and carried out. Keep them for 90 days.',
  },
);
export type DeviceBindingReply = Static<typeof DeviceBindingReply>;

/** `identity.device-binding.v1.revoked` (core NATS, to every replica) */
export const DeviceRevokedNotice = Type.Object(
  { tenantId: TenantId, userId: UserId, deviceId: DeviceId, revokedAt: Timestamp },
  { $id: 'DeviceRevokedNotice' },
);
export type DeviceRevokedNotice = Static<typeof DeviceRevokedNotice>;
