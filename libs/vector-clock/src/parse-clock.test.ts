import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  MAX_CLOCK_ENTRIES,
  MAX_REPLICA_ID_LENGTH,
  clockSize,
  counterOf,
  deviceReplica,
  incrementClock,
  isReplicaId,
  mergeClocks,
  parseClock,
  serviceReplica,
} from './index.ts';

const wide = (count: number, counter = 1): Record<string, number> =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`d:${index}`, counter]));

describe('parseClock', () => {
  it('accepts 256 entries and refuses 257, zero entries included', () => {
    expect(parseClock(wide(MAX_CLOCK_ENTRIES))).toMatchObject({ ok: true });
    expect(parseClock(wide(MAX_CLOCK_ENTRIES + 1))).toEqual({
      ok: false,
      path: '',
      reason: 'must have at most 256 entries',
    });
    expect(parseClock(wide(MAX_CLOCK_ENTRIES + 1, 0))).toMatchObject({ ok: false });
  });

  it('counts the length of a key in code points', () => {
    const emoji = (count: number): string => `d:${'\u{1f600}'.repeat(count)}`;
    expect(parseClock({ [emoji(MAX_REPLICA_ID_LENGTH - 2)]: 1 })).toMatchObject({ ok: true });
    const refused = parseClock({ [emoji(MAX_REPLICA_ID_LENGTH - 1)]: 1 });
    expect(refused).toEqual({
      ok: false,
      path: `/d:${'\u{1f600}'.repeat(78)}`,
      reason: 'key must be d:<deviceId> or s:<service>, at most 200 characters',
    });
  });

  it('says what is wrong with a counter and where', () => {
    expect(parseClock({ 'd:1': 1, 'd:2': -1 })).toEqual({
      ok: false,
      path: '/d:2',
      reason: 'counter must be an integer between 0 and 2^53-1',
    });
    expect(parseClock([1])).toEqual({ ok: false, path: '', reason: 'must be an object' });
  });

  it('returns a frozen copy: a clock cannot change behind the back of who checked it', () => {
    const input = { 'd:1': 1 };
    const parsed = parseClock(input);
    input['d:1'] = 99;
    expect(parsed).toEqual({ ok: true, clock: { 'd:1': 1 } });
    expect(parsed.ok && Object.isFrozen(parsed.clock)).toBe(true);
  });

  it('accepts plain objects without a prototype or of another realm, and nothing else', () => {
    class Clock {
      readonly 'd:1' = 1;
    }
    const bare: unknown = Object.assign(Object.create(null) as object, { 'd:1': 1 });
    expect(parseClock(bare)).toMatchObject({ ok: true });
    expect(parseClock(runInNewContext('({ "d:1": 1 })'))).toMatchObject({ ok: true });
    for (const value of [new Clock(), new Map(), new Date(), () => 1, Symbol('d:1'), 1n, undefined]) {
      expect(parseClock(value)).toMatchObject({ ok: false, path: '' });
    }
  });

  it('never throws and never reaches a prototype, whatever arrives', () => {
    fc.assert(
      fc.property(fc.anything({ withNullPrototype: true, withObjectString: true }), (value) => {
        const parsed = parseClock(value);
        expect(typeof parsed.ok).toBe('boolean');
        expect(Object.keys(Object.prototype)).toEqual([]);
      }),
    );
  });
});

describe('replica ids', () => {
  it('are a prefix and an id', () => {
    expect(deviceReplica('7f1')).toBe('d:7f1');
    expect(serviceReplica('learning')).toBe('s:learning');
    expect(isReplicaId('d:a:b c')).toBe(true);
  });

  it.each(['', '\u0000', 'a\nb', '\ud83d', 'x'.repeat(199)])('cannot be made from %j', (id) => {
    expect(() => deviceReplica(id)).toThrow(RangeError);
    expect(() => serviceReplica(id)).toThrow('not a replica id: "s:');
  });

  it('are matched as a whole', () => {
    expect([' d:1', 'xd:1', 'd:1\n', 'e:1', 'd1'].filter(isReplicaId)).toEqual([]);
  });

  it('are cut in the message of an error', () => {
    expect(() => deviceReplica('x'.repeat(10_000))).toThrow(`not a replica id: "d:${'x'.repeat(78)}"`);
  });
});

describe('entries', () => {
  it('that nobody made are 0, even under names that every object inherits', () => {
    const clock = JSON.parse('{"__proto__": 7, "d:1": 2}') as Record<string, number>;
    expect(counterOf({}, 'constructor')).toBe(0);
    expect(counterOf({}, '__proto__')).toBe(0);
    expect(counterOf(clock, '__proto__')).toBe(7);
    expect(Object.getOwnPropertyDescriptor(mergeClocks(clock, {}), '__proto__')?.value).toBe(7);
  });

  it('are bounded where a clock grows, not where two are joined', () => {
    const full = wide(MAX_CLOCK_ENTRIES);
    expect(() => incrementClock(full, 'd:new')).toThrow('a clock has at most 256 entries');
    expect(clockSize(incrementClock(full, 'd:0'))).toBe(MAX_CLOCK_ENTRIES);
    expect(clockSize(incrementClock({ ...wide(MAX_CLOCK_ENTRIES - 1), 'd:zero': 0 }, 'd:new'))).toBe(
      MAX_CLOCK_ENTRIES,
    );
    expect(clockSize(mergeClocks(full, { 'd:new': 1 }))).toBe(MAX_CLOCK_ENTRIES + 1);
    expect(clockSize({ 'd:1': 0, 'd:2': 1 })).toBe(1);
  });

  it('stop at the largest safe integer', () => {
    const clock = { 'd:1': Number.MAX_SAFE_INTEGER };
    expect(() => incrementClock(clock, 'd:1')).toThrow('the counter of d:1 cannot go higher');
  });
});
