import { describe, expect, it } from '@jest/globals';
import { deviceReplica, parseClock, serviceReplica } from '@sync/vector-clock';
import fc from 'fast-check';
import {
  Base64,
  EntityId,
  EntityType,
  MutationId,
  Position,
  Scope,
  TenantId,
  Timestamp,
  VectorClock,
} from './scalars.ts';
import { LIMITS } from './limits.ts';
import { DEVICE_ID_PATTERN, SERVICE_PATTERN } from './patterns.ts';
import { validator } from './validate.ts';

describe('Timestamp', () => {
  const check = validator(Timestamp);

  it.each([
    '2024-02-29T00:00:00Z',
    '2024-01-01T23:59:59.123Z',
    '2024-01-01T00:00:00.123456789+14:00',
    '0001-01-01T00:00:00-14:00',
    '9999-12-31T23:59:59.999Z',
  ])('takes %s', (text) => {
    expect(check(text).ok).toBe(true);
  });

  it.each([
    '2023-02-29T00:00:00Z',
    '2023-04-31T00:00:00Z',
    '2023-13-01T00:00:00Z',
    '0000-01-01T00:00:00Z',
    '2016-12-31T23:59:60Z',
    '2024-01-01T24:00:00Z',
    '2024-01-01T00:00:00',
    '2024-01-01 00:00:00Z',
    '2024-01-01t00:00:00z',
    '2024-01-01T00:00:00+14:30',
    '2024-01-01T00:00:00+23:00',
    '2024-01-01T00:00:00.1234567890Z',
    '+12024-01-01T00:00:00Z',
    '2024-01-01T00:00:00Z\n',
    'now',
    '',
  ])('refuses %j', (text) => {
    expect(check(text).ok).toBe(false);
  });

  it('takes whatever JavaScript writes, and JavaScript reads whatever it takes', () => {
    const dates = fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true });
    fc.assert(
      fc.property(dates, (date) => {
        expect(check(date.toISOString()).ok).toBe(true);
      }),
    );
    const text = fc.stringMatching(
      /^[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](\.[0-9]{1,9})?(Z|[+-][0-2][0-9]:[0-5][0-9])$/,
    );
    fc.assert(
      fc.property(text, (candidate) => {
        if (check(candidate).ok) expect(Number.isFinite(Date.parse(candidate))).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('Base64', () => {
  const check = validator(Base64);

  it('takes what Node writes, at any length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 50 }), (bytes) => {
        expect(check(Buffer.from(bytes).toString('base64')).ok).toBe(true);
      }),
    );
  });

  it.each(['A', 'AA', 'AAA', 'AA=', 'A===', 'AA==AA==', 'AA-_', 'AA A', 'AAAA\n'])('refuses %j', (text) => {
    expect(check(text).ok).toBe(false);
  });

  it('reads 8 MiB without overflowing the stack', () => {
    expect(check('A'.repeat(LIMITS.bodyInflatedBytes)).ok).toBe(true);
    expect(check(`${'A'.repeat(LIMITS.bodyInflatedBytes)}!`).ok).toBe(false);
  });
});

describe('VectorClock', () => {
  const check = validator(VectorClock);

  it('takes only clocks that libs/vector-clock takes', () => {
    const key = fc.oneof(
      fc.stringMatching(/^[ds]:[ -~]{0,20}$/),
      fc.stringMatching(/^d:[A-Za-z0-9._~-]{1,128}$/),
      fc.stringMatching(/^s:[a-z][a-z0-9-]{0,63}$/),
      fc.constantFrom('__proto__', 'd:', 'x:1', 'd:\u0000', 'd:é'),
    );
    const counter = fc.oneof(fc.nat(), fc.integer(), fc.double(), fc.constantFrom('1', null, 2 ** 53));
    fc.assert(
      fc.property(fc.array(fc.tuple(key, counter), { maxLength: 4 }), (entries) => {
        const clock: unknown = JSON.parse(JSON.stringify(Object.fromEntries(entries)));
        if (check(clock).ok) expect(parseClock(clock).ok).toBe(true);
      }),
    );
  });

  it('takes every device and service that the wire can name', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(new RegExp(DEVICE_ID_PATTERN)),
        fc.stringMatching(new RegExp(SERVICE_PATTERN)),
        (deviceId, service) => {
          const clock = { [deviceReplica(deviceId)]: 1, [serviceReplica(service)]: Number.MAX_SAFE_INTEGER };
          expect(check(clock)).toEqual({ ok: true, value: clock });
        },
      ),
    );
  });

  it('has at most 256 entries', () => {
    const clock = (size: number): object =>
      Object.fromEntries(Array.from({ length: size }, (_, index) => [`d:${index}`, 1]));
    expect(check(clock(LIMITS.clockEntries)).ok).toBe(true);
    expect(check(clock(LIMITS.clockEntries + 1)).ok).toBe(false);
  });

  it('refuses what hides behind a prototype', () => {
    expect(check(JSON.parse('{"__proto__":1}')).ok).toBe(false);
    expect(check(JSON.parse('{"constructor":1}')).ok).toBe(false);
  });
});

describe('ids', () => {
  it.each([
    ['TenantId', TenantId, ['t1', 'A_b-9', 'x'.repeat(64)], ['', 'a,b', "a'b", 'a b', 'a.b', 'x'.repeat(65)]],
    ['EntityType', EntityType, ['note', 'a_b-2'], ['Note', '2a', 'a.b', '']],
    ['EntityId', EntityId, ['a', '3F~._:-'], ['', 'a/b', 'a b', 'é', 'x'.repeat(129)]],
    [
      'Scope',
      Scope,
      ['user:u1', 'course:a.b~c-d_e'],
      ['user:', ':u1', 'User:u1', 'user:u1:x', 'user:*', 'user:>', 'user'],
    ],
    [
      'MutationId',
      MutationId,
      ['01890a5d-ac96-774b-bcce-b302099a8057'],
      ['01890A5D-ac96-774b-bcce-b302099a8057', '1'],
    ],
    [
      'Position',
      Position,
      ['0', '9223372036854775807'],
      ['', '-1', '01', '1.0', '1e3', '99999999999999999999'],
    ],
  ] as const)('%s', (_name, schema, good, bad) => {
    const check = validator(schema);
    expect(good.filter((text) => !check(text).ok)).toEqual([]);
    expect(bad.filter((text) => check(text).ok)).toEqual([]);
    expect(check(`${good[0]}\n`).ok).toBe(false);
  });
});
