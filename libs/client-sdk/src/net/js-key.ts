/** `@sync/client/js-key`: the key of a device where there is no WebCrypto. */
import { hkdf } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { utf8ToBytes } from '@noble/hashes/utils.js';
import { tagKeyInfo } from '@sync/protocol/device';
import { toBase64 } from './base64.ts';
import { checkIdentity, checkKeyBytes, KEY_BYTES } from './identity.ts';
import type { DeviceIdentity, DeviceKey } from './transport.ts';

/**
 * Keeps the key in memory, where every script of the app can read it: keep it in the secure store of the
 * platform. For React Native; where there is WebCrypto, `webCryptoKey` of
 * `@sync/client/webcrypto-key` keeps it better.
 * @param bytes the 32 bytes of `hmacKey`
 * @throws RangeError for another length, TypeError for an identity with an id that is none
 */
export function jsKey(bytes: Uint8Array, identity: DeviceIdentity): DeviceKey {
  checkKeyBytes(bytes);
  checkIdentity(identity);
  const signing = new Uint8Array(bytes);
  const tagging = hkdf(sha256, signing, undefined, utf8ToBytes(tagKeyInfo(identity)), KEY_BYTES);
  const by = (key: Uint8Array) => async (text: string) => toBase64(hmac(sha256, key, utf8ToBytes(text)));
  return { sign: by(signing), tag: by(tagging) };
}
