import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import canonicalize from 'canonicalize';
import { TAG_VECTORS_TEXT } from './tag-vectors.ts';

interface Device {
  readonly tenantId: string;
  readonly userId: string;
  readonly deviceId: string;
  readonly hmacKey: string;
  readonly info: string;
  readonly tagKey: string;
}
type Tagged = Readonly<Record<string, unknown>> & { readonly mutationId: string; readonly tag: string };
interface Vectors {
  readonly devices: Readonly<Record<string, Device>>;
  readonly valid: readonly {
    readonly name: string;
    readonly madeBy: string;
    readonly canonical: string;
    readonly mutation: Tagged;
  }[];
  readonly invalid: readonly { readonly name: string; readonly mutation: Tagged }[];
}

const text = readFileSync(new URL('../golden/mutation-tags.json', import.meta.url), 'utf8');
const { devices, valid, invalid } = JSON.parse(text) as Vectors;

/** Nothing of the project: RFC 5869 for 32 bytes written out, and somebody else's RFC 8785. */
function tagKey({ hmacKey, tenantId, userId, deviceId }: Device): Buffer {
  const pseudorandom = createHmac('sha256', Buffer.alloc(32)).update(Buffer.from(hmacKey, 'base64')).digest();
  const info = `sync-mutation-tag-v1\0${tenantId}\0${userId}\0${deviceId}`;
  return createHmac('sha256', pseudorandom).update(`${info}\u0001`).digest();
}

function canonicalOf({ tag: _, ...mutation }: Tagged): string {
  return canonicalize({ ...mutation, mutationId: mutation.mutationId.toLowerCase() }) ?? '';
}

function isGood(mutation: Tagged, by: readonly (Device | undefined)[]): boolean {
  const canonical = canonicalOf(mutation);
  return by.some((device) => {
    if (!device) throw new Error('no such device');
    return createHmac('sha256', tagKey(device)).update(canonical).digest('base64') === mutation.tag;
  });
}

describe('golden/mutation-tags.json', () => {
  it('is what is written from the code', () => {
    expect(text).toBe(TAG_VECTORS_TEXT);
  });

  it.each(Object.entries(devices))('has the key of tags of %s', (_name, device) => {
    expect(tagKey(device).toString('base64')).toBe(device.tagKey);
  });

  it.each(valid)('valid: $name', ({ canonical, madeBy, mutation }) => {
    expect(canonicalOf(mutation)).toBe(canonical);
    expect(isGood(mutation, [devices[madeBy]])).toBe(true);
  });

  it.each(invalid)('invalid: $name', ({ mutation }) => {
    expect(isGood(mutation, [devices['phone'], devices['phoneBefore']])).toBe(false);
  });
});
