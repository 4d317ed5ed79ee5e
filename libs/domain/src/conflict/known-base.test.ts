import { describe, expect, it } from '@jest/globals';
import type { EntityState, FieldWrite } from '../entity.ts';
import type { JsonObject } from '../json.ts';
import { decide } from './decide.ts';
import { knownBase, UNKNOWN_BASE } from './known-base.ts';

const by = (replica: string, counter = 1): FieldWrite => ({ atMs: 1, by: replica, counter });
const state = (data: JsonObject | null, fieldWrites: EntityState['fieldWrites'], more = {}): EntityState => {
  return {
    ...{ revision: 3, clock: { 's:svc': 1, 'd:b': 1 }, data, deleted: data === null, deletedData: null },
    ...{ fieldWrites, ...more },
  };
};
/** The device saw what the service wrote, and nothing of device b. */
const from = (data: JsonObject | null, baseClock = { 's:svc': 1 }): Parameters<typeof knownBase>[0] => {
  return { deviceId: 'a', baseClock, data };
};

describe('knownBase', () => {
  it.each<[string, EntityState['fieldWrites'], JsonObject, JsonObject, string[]]>([
    ['has what nobody wrote since', { f: by('s:svc') }, { f: 1 }, { f: 1 }, []],
    ['misses what was written behind the device', { f: by('d:b') }, { f: 2 }, {}, ['f']],
    ['misses what nobody knows the writer of', {}, { f: 2 }, {}, ['f']],
    [
      'misses what was removed behind the device',
      { f: { ...by('s:svc'), removedBy: by('d:b') } },
      {},
      {},
      ['f'],
    ],
    ['has no field that was removed before', { f: { ...by('d:b'), removedBy: by('s:svc') } }, {}, {}, []],
    ['has no field that only the mutation brings', { g: by('s:svc') }, { g: 1 }, { g: 1 }, []],
    [
      'takes __proto__ for a field',
      JSON.parse('{"__proto__":{"atMs":1,"by":"s:svc","counter":1}}') as never,
      JSON.parse('{"__proto__":1}') as JsonObject,
      JSON.parse('{"__proto__":1}') as JsonObject,
      [],
    ],
  ])('%s', (_what, fieldWrites, present, base, baseUnknown) => {
    const known = knownBase(from({ new: 1 }), state(present, { '': by('s:svc'), ...fieldWrites }));
    expect(known).toEqual({ base, baseUnknown });
    expect(Object.keys(known.base ?? {})).toEqual(Object.keys(base));
  });

  it('is nothing, and known to be, for a device that made the entity or saw its deletion', () => {
    const known = { base: null, baseUnknown: [] };
    expect(knownBase(from({ f: 1 }, {} as never), state({ f: 2 }, { f: by('d:b') }))).toEqual(known);
    const deleted = state(null, { '': by('s:svc'), f: by('s:svc') }, { deletedData: { f: 1 } });
    expect(knownBase(from({ f: 2 }), deleted)).toEqual(known);
  });

  it('is what was deleted behind the device, while that is kept', () => {
    const writes = { '': by('d:b'), f: by('s:svc'), g: by('d:b') };
    const kept = state(null, writes, { deletedData: { f: 1, g: 2 } });
    expect(knownBase(from({ f: 2 }), kept)).toEqual({ base: { f: 1 }, baseUnknown: ['g'] });
    expect(knownBase(from({ f: 2 }), state(null, writes))).toEqual(UNKNOWN_BASE);
  });

  it('is unknown field by field of what was deleted and made anew behind the device', () => {
    const remade = (deletion: FieldWrite): EntityState =>
      state({ f: 1 }, { '': { ...by('d:b', 2), deletion }, f: by('d:b', 2) });
    expect(knownBase(from({ new: 1 }), remade(by('d:b')))).toEqual({ base: {}, baseUnknown: ['f', 'new'] });
    // Whoever saw the deletion knows that there was nothing.
    expect(knownBase(from({ new: 1 }), remade(by('s:svc')))).toEqual({ base: {}, baseUnknown: ['f'] });
  });

  it('is unknown where the device may not see the entity', () => {
    expect(knownBase(from({ f: 1 }), null)).toEqual({ base: null, baseUnknown: [''] });
  });

  it('is in the record of a collision, a deletion and a refusal', () => {
    const current = state({ f: 2, g: 1 }, { '': by('s:svc'), f: by('d:b'), g: by('s:svc') });
    const mutation = {
      ...{
        mutationId: 'm1',
        deviceId: 'a',
        entityType: 'thing',
        entityId: 'e1',
        update: null,
        schemaVersion: 1,
      },
      ...{ baseClock: { 's:svc': 1 }, occurredAtMs: 5, op: 'patch' as const, data: { f: 3, g: 4 } },
    };
    const ask = { current, review: 'collisions', serverNowMs: 9 } as const;
    const known = { record: { base: { g: 1 }, baseUnknown: ['f'] } };
    expect(decide({ ...ask, mutation, policy: 'lww' })).toMatchObject(known);
    expect(
      decide({ ...ask, mutation: { ...mutation, op: 'delete', data: null }, policy: 'lww' }),
    ).toMatchObject(known);
    expect(decide({ ...ask, mutation, policy: 'server_authoritative' })).toMatchObject(known);
  });
});
