import { DEVICE_ID_PATTERN, TENANT_ID_PATTERN, USER_ID_PATTERN } from '@sync/protocol/device';
import type { DeviceIdentity } from './transport.ts';

const PATTERNS = { tenantId: TENANT_ID_PATTERN, userId: USER_ID_PATTERN, deviceId: DEVICE_ID_PATTERN };

/**
 * Ids stand in what is signed and in what keys are made of, so that one that is none must not get there.
 * @throws TypeError
 */
export function checkIdentity(identity: DeviceIdentity): void {
  for (const [name, pattern] of Object.entries(PATTERNS) as [keyof DeviceIdentity, string][]) {
    if (!new RegExp(pattern).test(identity[name])) throw new TypeError(`${name} must match ${pattern}`);
  }
}

export const KEY_BYTES = 32;

/** @throws RangeError */
export function checkKeyBytes(bytes: Uint8Array): void {
  if (bytes.length === KEY_BYTES) return;
  throw new RangeError(`The key of a device has ${KEY_BYTES} bytes, not ${bytes.length}: decode its base64`);
}
