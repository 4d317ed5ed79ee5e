import { describe, expect, it } from '@jest/globals';
import { type BlockOverlap, recordOverlaps } from './record-overlaps.ts';

const MUTATION = {
  ...{ entityType: 'document', entityId: 'd1', mutationId: 'm1', update: 'AAA=' },
  clock: { 's:svc': 1, 'd:a': 1 },
};

function overlapIn(block: BlockOverlap['block'], sides: Partial<BlockOverlap> = {}): BlockOverlap {
  const texts = { base: '5 mg', ours: '10 mg', theirs: '20 mg', merged: '1020 mg' };
  return { block, kind: 'same_number', grade: 'severe', ...texts, ...sides };
}

const LINE = overlapIn({ path: 'body', line: 3, key: null });

describe('recordOverlaps', () => {
  it('holds both sides of every block under its name', () => {
    const key = overlapIn({ path: 'fields', line: null, key: 'dose' }, { ours: null });
    const element = overlapIn({ path: 'page/1', line: null, key: null }, { theirs: null, grade: 'minor' });
    const report = { grade: 'severe', overlaps: [LINE, key, element] } as const;
    const input = { mutation: MUTATION, policy: 'crdt_yjs', review: 'collisions' } as const;
    expect(recordOverlaps(input, report, { 's:svc': 2 })).toEqual({
      ...{ policy: 'crdt_yjs', entityType: 'document', entityId: 'd1', mutationId: 'm1' },
      ...{ theirsUpdate: 'AAA=', baseUnknown: [], decision: 'open' },
      ...{ clockOurs: { 's:svc': 2 }, clockTheirs: MUTATION.clock },
      base: { 'body:3': '5 mg', 'fields.dose': '5 mg', 'page/1': '5 mg' },
      ours: { 'body:3': '10 mg', 'fields.dose': null, 'page/1': '10 mg' },
      theirs: { 'body:3': '20 mg', 'fields.dose': '20 mg', 'page/1': null },
      fields: [
        { field: 'body:3', ours: '10 mg', theirs: '20 mg', winner: 'open' },
        { field: 'fields.dose', theirs: '20 mg', winner: 'open' },
        { field: 'page/1', ours: '10 mg', winner: 'open' },
      ],
      blocks: [
        { name: 'body:3', ...LINE.block, kind: 'same_number', grade: 'severe', merged: '1020 mg' },
        { name: 'fields.dose', ...key.block, kind: 'same_number', grade: 'severe', merged: '1020 mg' },
        { name: 'page/1', ...element.block, kind: 'same_number', grade: 'minor', merged: '1020 mg' },
      ],
    });
  });

  it.each([
    ['severe', 'collisions', 'open', 'open'],
    ['severe', 'none', 'auto', 'merged'],
    ['minor', 'collisions', 'auto', 'merged'],
  ] as const)('is for %s overlaps and review %s %s', (grade, review, decision, winner) => {
    const input = { mutation: MUTATION, policy: 'crdt_yjs', review } as const;
    const record = recordOverlaps(input, { grade, overlaps: [LINE] }, {});
    expect([record?.decision, record?.fields[0]?.winner]).toEqual([decision, winner]);
  });

  it('names the whole entity where nobody could compare, and is not there where nothing met', () => {
    const input = { mutation: MUTATION, policy: 'crdt_yjs', review: 'none' } as const;
    const record = recordOverlaps(input, { grade: 'severe', overlaps: [] }, {});
    expect(record).toMatchObject({ baseUnknown: [''], fields: [{ field: '', winner: 'merged' }] });
    expect(recordOverlaps(input, { grade: 'none', overlaps: [] }, {})).toBeNull();
  });
});
