import { createHmac, hkdfSync } from 'node:crypto';
import { tagKeyInfo, taggedText } from '@sync/protocol';
import type { DeviceCredentials } from './signed-http.ts';

/**
 * The mutation with the tag of its device (PUSH-22), in place of one that it may have had. With the token of a
 * stand-in, which names nobody, it stays as it is. Not by the SDK, which tags nothing that it has not made.
 */
export function tagMutation<T extends object>(credentials: DeviceCredentials, mutation: T): T {
  const key = keyOf(credentials);
  if (!key) return mutation;
  const text = taggedText(mutation as Record<string, unknown>);
  return { ...mutation, tag: createHmac('sha256', key).update(text).digest('base64') };
}

/** A device keeps its key of tags; it changes with its own key alone. */
const keys = new WeakMap<DeviceCredentials, Buffer | null>();

function keyOf(credentials: DeviceCredentials): Buffer | null {
  const known = keys.get(credentials);
  if (known !== undefined) return known;
  const holder = holderOf(credentials.accessToken);
  const deviceKey = Buffer.from(credentials.hmacKey, 'base64');
  const { deviceId } = credentials;
  const key = holder
    ? Buffer.from(hkdfSync('sha256', deviceKey, '', tagKeyInfo({ ...holder, deviceId }), 32))
    : null;
  keys.set(credentials, key);
  return key;
}

/** Whose token it is: a device knows that without a look into it, but it stands there. */
function holderOf(accessToken: string): { readonly tenantId: string; readonly userId: string } | null {
  const claims = Buffer.from(accessToken.split('.')[1] ?? '', 'base64url').toString();
  if (!claims.startsWith('{')) return null;
  const { tid, sub } = JSON.parse(claims) as Record<string, unknown>;
  return typeof tid === 'string' && typeof sub === 'string' ? { tenantId: tid, userId: sub } : null;
}
