import { createHmac, hkdfSync } from 'node:crypto';
import { tagKeyInfo, taggedText } from '@sync/protocol';
import type { TestDevice } from './test-identity.ts';

/** The mutation with the tag that its device makes, as docs/protocol.md describes. */
export function tagMutation<T extends object>(
  device: Pick<TestDevice, 'tenantId' | 'userId' | 'deviceId' | 'hmacKey'>,
  mutation: T,
): T & { readonly tag: string } {
  const key = hkdfSync('sha256', Buffer.from(device.hmacKey, 'base64'), '', tagKeyInfo(device), 32);
  const text = taggedText(mutation as Record<string, unknown>);
  return { ...mutation, tag: createHmac('sha256', Buffer.from(key)).update(text).digest('base64') };
}
