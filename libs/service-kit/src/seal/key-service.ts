import { createSecretKey, type KeyObject } from 'node:crypto';
import { decrypt, encrypt, SealError } from './sealed-text.ts';

/**
 * Where the master keys are: by default in the configuration of the process ({@link masterKeysOf}), in a
 * company perhaps in a KMS, which never hands them out. They wrap data keys and nothing else, at starts and
 * rotations.
 */
export interface KeyService {
  /** Names of the master keys that may be used, the one to wrap with first. */
  readonly names: readonly string[];
  /** @param dataKeyId bound into the result, which unwraps for no other */
  wrap(name: string, dataKeyId: number, dataKey: Buffer): Promise<string>;
  /** @throws SealError when it was wrapped by another master key, or for another data key */
  unwrap(name: string, dataKeyId: number, wrapped: string): Promise<Buffer>;
}

const KEY_BYTES = 32;
const LINE = /^([A-Za-z0-9][A-Za-z0-9_.-]{0,63}):([A-Za-z0-9+/]{43}=)$/;

/**
 * Master keys from a setting: a line `name:key` for each, the key 32 bytes in base64, the newest first.
 *
 * @returns null when there is none
 * @throws RangeError that says which line is wrong, without showing it
 */
export function masterKeysOf(lines: string): KeyService | null {
  const keys = new Map<string, KeyObject>();
  for (const [index, line] of lines.split(/\s+/).filter(Boolean).entries()) {
    const [, name = '', key = ''] = LINE.exec(line) ?? [];
    if (name === '') {
      throw new RangeError(`MASTER_KEYS: entry ${index + 1} is not name:key with 32 bytes in base64`);
    }
    if (keys.has(name)) throw new RangeError(`MASTER_KEYS: two keys are called ${name}`);
    keys.set(name, createSecretKey(Buffer.from(key, 'base64')));
  }
  return keys.size === 0 ? null : new GivenMasterKeys(keys);
}

class GivenMasterKeys implements KeyService {
  readonly names: readonly string[];
  readonly #keys: ReadonlyMap<string, KeyObject>;

  constructor(keys: ReadonlyMap<string, KeyObject>) {
    this.names = [...keys.keys()];
    this.#keys = keys;
  }

  wrap(name: string, dataKeyId: number, dataKey: Buffer): Promise<string> {
    return Promise.resolve(encrypt(this.#key(name), ownerOf(dataKeyId), dataKey));
  }

  async unwrap(name: string, dataKeyId: number, wrapped: string): Promise<Buffer> {
    const dataKey = await Promise.resolve(decrypt(this.#key(name), ownerOf(dataKeyId), wrapped));
    if (dataKey.length !== KEY_BYTES) throw new SealError(`Data key ${dataKeyId} has a wrong length`);
    return dataKey;
  }

  #key(name: string): KeyObject {
    const key = this.#keys.get(name);
    if (!key) throw new SealError(`There is no master key ${name}`);
    return key;
  }
}

function ownerOf(dataKeyId: number): readonly string[] {
  return ['data-key', String(dataKeyId)];
}
