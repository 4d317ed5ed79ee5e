import { describe, expect, it } from '@jest/globals';
import { headers } from '@nats-io/transport-node';
import fc from 'fast-check';
import {
  assertProducer,
  decodeNumber,
  decodeReplayPage,
  encodeNumber,
  encodeReplayPage,
  messageId,
} from './wire.ts';

const NUMBER = { producer: 'learning', epoch: 'm1-abc', number: 7 };

describe('the number of a message', () => {
  it('survives the wire', () => {
    expect(decodeNumber('sync.events.v1.3.learning', encodeNumber(NUMBER))).toEqual(NUMBER);
    expect(messageId('DELTAS', 3, NUMBER)).toBe('learning:DELTAS:m1-abc:3:7');
  });

  it('does not exist on a plain message', () => {
    expect(decodeNumber('sync.events.v1.plain.billing', undefined)).toBeUndefined();
    expect(decodeNumber('sync.events.v1.plain.billing', headers())).toBeUndefined();
  });

  it('is ignored under the subject of another producer', () => {
    expect(decodeNumber('sync.events.v1.3.billing', encodeNumber(NUMBER))).toBeUndefined();
  });

  it.each(['0', '-1', '1.5', '1e3', 'x', '99999999999999999', ''])('is ignored when it is %j', (digits) => {
    const encoded = encodeNumber(NUMBER);
    encoded.set('sync-number', digits);
    expect(decodeNumber('sync.events.v1.3.learning', encoded)).toBeUndefined();
  });
});

describe('a replay page', () => {
  it('survives the wire, whatever its payloads hold', () => {
    const page = fc.record({
      epoch: fc.string(),
      first: fc.nat(),
      last: fc.nat(),
      pruned: fc.boolean(),
      messages: fc.array(fc.record({ number: fc.nat(), payload: fc.string({ unit: 'grapheme' }) })),
    });
    fc.assert(
      fc.property(page, (given) => {
        expect(decodeReplayPage(encodeReplayPage(given))).toEqual(given);
      }),
    );
  });

  it.each([
    '',
    '{}',
    'null\n',
    '{}\n',
    '{"epoch":"e","first":1,"last":1,"pruned":false,"messages":[null]}\n',
  ])('is refused when it is %j', (text) => {
    expect(() => decodeReplayPage(Buffer.from(text))).toThrow(SyntaxError);
  });

  it('is refused when it was cut off', () => {
    const whole = encodeReplayPage({
      ...{ epoch: 'e', first: 1, last: 1, pruned: false },
      messages: [{ number: 1, payload: '"abc"' }],
    });
    expect(() => decodeReplayPage(whole.subarray(0, -1))).toThrow(SyntaxError);
  });
});

describe('a producer name', () => {
  it.each(['', 'a.b', 'a b', '*', '>', 'x'.repeat(65)])('%j is no token of a subject', (name) => {
    expect(() => assertProducer(name)).toThrow(RangeError);
  });
});
