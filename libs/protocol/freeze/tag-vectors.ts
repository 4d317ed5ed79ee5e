/**
 * The text of golden/mutation-tags.json: tags of mutations for authors of clients (PUSH-22). Always the same; to
 * change a vector that is there already is to change what deployed devices and servers agreed on.
 */
import { createHmac, hkdfSync } from 'node:crypto';
import { tagKeyInfo, taggedText, type TagAuthor } from '../src/mutation-tag.ts';

interface Device extends TagAuthor {
  readonly hmacKey: string;
}

const keyOf = (first: number): string => {
  return Buffer.from(Array.from({ length: 32 }, (_, at) => (first + at) % 256)).toString('base64');
};
const PHONE: Device = { tenantId: 'acme', userId: 'u1', deviceId: 'dev-1', hmacKey: keyOf(0) };
const DEVICES = {
  phone: PHONE,
  phoneBefore: { ...PHONE, hmacKey: keyOf(32) },
  anotherDevice: { ...PHONE, deviceId: 'dev-2' },
  anotherUser: { ...PHONE, userId: 'u2' },
  anotherTenant: { ...PHONE, tenantId: 'other' },
} as const satisfies Record<string, Device>;
type Name = keyof typeof DEVICES;

type Sent = Readonly<Record<string, unknown>>;

const MUTATION: Sent = {
  mutationId: '0197f9d2-6c1b-7e1a-9d3e-2f6b0c4d8e10',
  sequence: 7,
  scope: 'user:u1',
  entityType: 'note',
  entityId: 'n-1',
  op: 'put',
  data: { userId: 'u1', text: 'first' },
  baseClock: {},
  occurredAt: '2026-01-01T00:00:00.000Z',
  schemaVersion: 1,
};
const withData = (data: unknown): Sent => ({ ...MUTATION, data });
const without = (field: string): Sent => {
  return Object.fromEntries(Object.entries(MUTATION).filter(([name]) => name !== field));
};

const RFC_KEYS = { '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\ud83d\ude00': 5, '\u0080': 6, '\u00f6': 7 };
const NUMBERS = [
  ...[0, 1, -1, 1.5, 0.1, 100, 1e-7, 0.000001, 5e-324, -5e-324, 2.2250738585072014e-308],
  ...[333333333.33333329, 4.5, 2e-3, 1e-27, 9007199254740991, -9007199254740991, 1424953923781206.2],
];
const STRINGS = [
  '',
  '"\\/',
  '\b\f\n\r\t\u000f\u001f\u007f',
  '€ü\u2028\u2029\ufeff\u{1f600}',
  // Not normalised: these are two texts.
  'e\u0301',
  '\u00e9',
];
const deep = (levels: number): unknown => (levels === 0 ? [] : { b: deep(levels - 1), a: [null] });

const VALID: readonly (readonly [name: string, mutation: Sent, device?: Name, sent?: Sent])[] = [
  ['a put', MUTATION],
  ['the same with its keys in another order', Object.fromEntries(Object.entries(MUTATION).reverse())],
  ['nothing that can be left out', without('schemaVersion')],
  ['a delete', { ...without('data'), op: 'delete' }],
  ['a merge', { ...without('data'), entityType: 'document', op: 'merge', update: 'AAA=' }],
  [
    'a clock and dependencies',
    {
      ...MUTATION,
      baseClock: { 's:learning': 3, 'd:dev-1': 2 },
      dependsOn: ['0197f9d2-6c1b-7e1a-9d3e-2f6b0c4d8e0f'],
    },
  ],
  ['keys in the order of UTF-16 units (RFC 8785, 3.2.3)', withData(RFC_KEYS)],
  ['keys that are integers', withData({ '9': 1, '10': 2, '1': 3, '01': 4 })],
  ['keys beyond U+FFFF come before U+E000', withData({ '\ue000': 1, '\u{10000}': 2, '\uffff': 3 })],
  ['numbers', withData({ numbers: NUMBERS })],
  ['strings', withData({ strings: STRINGS })],
  ['literals and what is empty', withData({ a: null, b: true, c: false, d: [], e: {}, f: '' })],
  ['nesting', withData({ deep: deep(12) })],
  ['a field that only a newer app knows', { ...MUTATION, later: { b: 1, a: [2] } }],
  [
    'UUIDs that are sent in upper case are tagged in lower case',
    MUTATION,
    'phone',
    { ...MUTATION, mutationId: String(MUTATION['mutationId']).toUpperCase() },
  ],
  ['the key that the device had before', { ...MUTATION, entityId: 'n-2' }, 'phoneBefore'],
];

function tagKey(device: Device): Buffer {
  const key = Buffer.from(device.hmacKey, 'base64');
  return Buffer.from(hkdfSync('sha256', key, '', tagKeyInfo(device), 32));
}

const hmac = (key: Buffer, text: string): string => createHmac('sha256', key).update(text).digest('base64');
const tagOf = (name: Name, mutation: Sent): string => hmac(tagKey(DEVICES[name]), taggedText(mutation));
const tagged = (mutation: Sent, tag: string): Sent => ({ ...mutation, tag });

const GOOD = tagOf('phone', MUTATION);
const UPPER = { ...MUTATION, mutationId: String(MUTATION['mutationId']).toUpperCase() };
const INVALID: readonly (readonly [name: string, mutation: Sent])[] = [
  ['a value was changed', tagged(withData({ userId: 'u1', text: 'First' }), GOOD)],
  ['an entity was changed', tagged({ ...MUTATION, entityId: 'n-2' }, GOOD)],
  ['a time is written in another way', tagged({ ...MUTATION, occurredAt: '2026-01-01T00:00:00Z' }, GOOD)],
  ['a field was added', tagged({ ...MUTATION, later: 1 }, GOOD)],
  ['a field was left out', tagged(without('schemaVersion'), GOOD)],
  ['another mutationId', tagged({ ...MUTATION, mutationId: '0197f9d2-6c1b-7e1a-9d3e-2f6b0c4d8e11' }, GOOD)],
  ['the tag of another device with the same key', tagged(MUTATION, tagOf('anotherDevice', MUTATION))],
  ['the tag of another user of the device', tagged(MUTATION, tagOf('anotherUser', MUTATION))],
  ['the tag of another tenant', tagged(MUTATION, tagOf('anotherTenant', MUTATION))],
  [
    'made with the key of the device itself',
    tagged(MUTATION, hmac(Buffer.from(PHONE.hmacKey, 'base64'), taggedText(MUTATION))),
  ],
  ['keys are not sorted', tagged(MUTATION, hmac(tagKey(PHONE), JSON.stringify(MUTATION)))],
  ['keys are in code point order', tagged(withData({ '\ue000': 1, '\u{10000}': 2 }), codePointTag())],
  ['UUIDs are tagged in upper case', tagged(UPPER, tagOf('phone', UPPER))],
  ['the tag is hexadecimal', tagged(MUTATION, Buffer.from(GOOD, 'base64').toString('hex'))],
  ['the tag is cut off', tagged(MUTATION, GOOD.slice(0, 24))],
];

function codePointTag(): string {
  const text = taggedText(withData({ '\ue000': 1, '\u{10000}': 2 }));
  return hmac(tagKey(PHONE), text.replace('"\u{10000}":2,"\ue000":1', '"\ue000":1,"\u{10000}":2'));
}

const vectors = {
  about:
    'Tags of mutations (PUSH-22 in docs/protocol.md). tagKey: HKDF-SHA-256 of hmacKey without a salt, 32 bytes, ' +
    'info in UTF-8. tag: HMAC-SHA-256 with tagKey of canonical in UTF-8, base64. canonical: RFC 8785 of the ' +
    'mutation without tag. Keys and tags are base64. Every mutation is of `phone`, whose earlier key is that of ' +
    '`phoneBefore`; those under invalid are refused. Written by freeze/tag-vectors.ts. Entries are added, ' +
    'never changed.',
  devices: Object.fromEntries(
    Object.entries(DEVICES).map(([name, device]) => [
      name,
      { ...device, info: tagKeyInfo(device), tagKey: tagKey(device).toString('base64') },
    ]),
  ),
  valid: VALID.map(([name, mutation, device = 'phone', sent = mutation]) => ({
    ...{ name, madeBy: device, canonical: taggedText(mutation) },
    mutation: tagged(sent, tagOf(device, mutation)),
  })),
  invalid: INVALID.map(([name, mutation]) => ({ name, mutation })),
};

/** Only ASCII, so that no editor changes a vector. */
export const TAG_VECTORS_TEXT = `${JSON.stringify(vectors, null, 2)}\n`.replace(
  /[\u007f-\uffff]/g,
  (unit) => {
    return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  },
);
