import { describe, expect, it } from '@jest/globals';
import type { EntityState, MutationInput } from '../entity.ts';
import { LIVE, from, DELETED } from '../testing/missed-write.ts';
import { recordRefused } from './record-refused.ts';

const FIELD = (field: string, sides: object): object => ({ field, ...sides, winner: 'ours' });
const ENTITY = FIELD('', {});

describe('recordRefused', () => {
  it.each<[string, MutationInput, EntityState | null, object]>([
    [
      'what differs',
      from('patch', { f: 'mine', g: 'old', h: 1 }, 5),
      LIVE,
      {
        ours: LIVE.data,
        theirs: { f: 'mine', g: 'old', h: 1 },
        fields: [FIELD('f', { ours: 'b', theirs: 'mine' }), FIELD('h', { theirs: 1 })],
        clockOurs: LIVE.clock,
        clockTheirs: { 's:svc': 1, 'd:a': 1 },
      },
    ],
    ['a deletion', from('delete', null, 5), LIVE, { ours: LIVE.data, theirs: null, fields: [ENTITY] }],
    [
      'all, of what was deleted',
      from('put', { f: 1 }, 5),
      DELETED,
      { ours: null, theirs: { f: 1 }, fields: [ENTITY, FIELD('f', { theirs: 1 })] },
    ],
    [
      'all, of what the device may not know',
      from('patch', { f: 1 }, 5),
      null,
      { ours: null, clockOurs: {}, fields: [ENTITY, FIELD('f', { theirs: 1 })] },
    ],
    [
      'a document’s update',
      { ...from('merge', null, 5), update: 'AAA=' },
      LIVE,
      { theirs: null, theirsUpdate: 'AAA=', fields: [ENTITY] },
    ],
  ])('keeps %s', (_what, mutation, current, record) => {
    const drafted = recordRefused({ mutation, policy: 'lww' }, current);
    expect(drafted).toMatchObject({
      ...record,
      decision: 'auto',
      mutationId: 'm1',
      policy: 'lww',
      ...(current === LIVE ? { base: { g: 'old' }, baseUnknown: ['f'] } : { base: null, baseUnknown: [''] }),
    });
    expect(drafted.fields).toEqual((record as { fields: unknown }).fields);
  });
});
