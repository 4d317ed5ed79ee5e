import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { tagKeyOf } from '../../access/tag-keys.ts';
import { prepareMutation } from './prepare-mutation.ts';
import { restoreAsItCame } from './restore-as-it-came.ts';
import { VerifyTags } from './verify-tags.ts';

interface Vectors {
  readonly devices: Readonly<Record<string, Device>>;
  readonly valid: readonly Vector[];
  readonly invalid: readonly Vector[];
}
interface Device {
  readonly tenantId: string;
  readonly userId: string;
  readonly deviceId: string;
  readonly hmacKey: string;
}
interface Vector {
  readonly name: string;
  readonly mutation: { readonly mutationId: string; readonly sequence: number };
}

const path = '../../../../../libs/protocol/golden/mutation-tags.json';
const text = readFileSync(new URL(path, import.meta.url), 'utf8');
const { devices, valid, invalid } = JSON.parse(text) as Vectors;
const phone = devices['phone'] as Device;
const keys = [phone, devices['phoneBefore'] as Device].map(({ hmacKey }) => {
  return tagKeyOf(Buffer.from(hmacKey, 'base64'), phone);
});
const binding = { status: 'bound' as const, requestKeys: [], tagKeys: keys };
const tags = new VerifyTags({ find: async () => binding, askAgain: async () => binding });
const moment = { ...phone, sentAtMs: null, serverNowMs: 0 };

describe('the vectors for authors of clients', () => {
  it.each(valid)('valid: $name, when it comes and when it is sent', async ({ mutation }) => {
    const prepared = prepareMutation({ ...mutation }, moment, false);
    const { payload, identity, address } = prepared;
    expect(await tags.verify(phone, [payload])).toEqual(['valid']);
    const stored = {
      ...{ mutation_id: prepared.mutationId, payload: payload ?? '', payload_hash: identity },
      ...{ stored_scope: address?.scope ?? null, occurred_at_ms: 0 },
    };
    const { occurredAtMs: _then, ...sent } = prepared.mutation ?? { occurredAtMs: 0 };
    expect(restoreAsItCame(stored, moment, 'valid')).toMatchObject(sent);
  });

  it.each(invalid)('invalid: $name', async ({ mutation }) => {
    const { payload, refusal } = prepareMutation({ ...mutation }, moment, false);
    if (refusal) expect(refusal.message).toMatch(/^\/tag: /);
    else expect(await tags.verify(phone, [payload])).toEqual(['wrong']);
  });
});

it.each(['{"data":{"1":1e400}}', '{"later":[1e400]}'])(
  'a tag beside a number out of range is of a mutation that is refused: %s',
  (out) => {
    const sent = { ...(valid[0] as Vector).mutation, ...(JSON.parse(out) as object) };
    expect(prepareMutation(sent, moment, true)).toMatchObject({ refusal: { code: 'mutation_invalid' } });
  },
);
