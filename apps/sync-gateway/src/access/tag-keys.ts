import { createHmac, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';
import { tagKeyInfo } from '@sync/protocol';
import { isEqual } from '@sync/service-kit';
import type { DeviceKey } from './device-bindings.ts';

const KEY_BYTES = 32;

/** The key of a device's tags: HKDF-SHA-256 of its own key; see `tagKeyInfo`. */
export function tagKeyOf(deviceKey: Buffer, device: DeviceKey): KeyObject {
  return createSecretKey(
    Buffer.from(hkdfSync('sha256', deviceKey, '', Buffer.from(tagKeyInfo(device)), KEY_BYTES)),
  );
}

/** @param text what a tag covers, see `taggedText` */
export function tagOf(key: KeyObject, text: string): string {
  return createHmac('sha256', key).update(text).digest('base64');
}

/** Whether a tag was made with one of the keys; each is compared in constant time. */
export function isTaggedWith(keys: readonly KeyObject[], text: string, tag: string): boolean {
  return keys.some((key) => isEqual(tagOf(key, text), tag));
}
