/** `@sync/client/webcrypto-key`: the key of a device where there is WebCrypto, in browsers and Node. */
import { tagKeyInfo } from '@sync/protocol/device';
import { toBase64 } from './base64.ts';
import { checkIdentity, checkKeyBytes } from './identity.ts';
import type { DeviceIdentity, DeviceKey } from './transport.ts';
import { webCrypto, type WebCryptoKey } from './webcrypto.ts';

const HMAC = { name: 'HMAC', hash: 'SHA-256', length: 256 } as const;

/**
 * The key of a device in its two uses. It can be stored in IndexedDB as it is, and nobody, not even a script
 * that somebody smuggled into the page, can read its bytes.
 */
export interface StoredDeviceKey {
  /** HMAC-SHA-256. */
  readonly signing: WebCryptoKey;
  /** HKDF: what the key of tags is derived from. */
  readonly deriving: WebCryptoKey;
}

/**
 * Once, when the device is bound. Forget the bytes afterwards.
 * @param bytes the 32 bytes of `hmacKey`
 * @throws RangeError for another length, TypeError where there is no WebCrypto
 */
export async function importDeviceKey(bytes: Uint8Array): Promise<StoredDeviceKey> {
  checkKeyBytes(bytes);
  // A view of memory that several threads share is refused, and one that changes meanwhile would be two keys.
  const copy = new Uint8Array(bytes);
  const subtle = needWebCrypto();
  const [signing, deriving] = await Promise.all([
    subtle.importKey('raw', copy, HMAC, false, ['sign']),
    subtle.importKey('raw', copy, 'HKDF', false, ['deriveKey']),
  ]);
  return { signing, deriving };
}

/** @throws TypeError where there is no WebCrypto, and for an identity with an id that is none */
export async function webCryptoKey(stored: StoredDeviceKey, identity: DeviceIdentity): Promise<DeviceKey> {
  checkIdentity(identity);
  const subtle = needWebCrypto();
  const info = new TextEncoder().encode(tagKeyInfo(identity));
  const derivation = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info };
  const tagging = await subtle.deriveKey(derivation, stored.deriving, HMAC, false, ['sign']);
  const hmac = async (key: WebCryptoKey, text: string): Promise<string> =>
    toBase64(new Uint8Array(await subtle.sign('HMAC', key, new TextEncoder().encode(text))));
  return { sign: (text) => hmac(stored.signing, text), tag: (text) => hmac(tagging, text) };
}

function needWebCrypto(): NonNullable<ReturnType<typeof webCrypto>> {
  const subtle = webCrypto();
  if (subtle) return subtle;
  throw new TypeError(
    'There is no WebCrypto here: serve the page by HTTPS, or use jsKey of @sync/client/js-key',
  );
}
