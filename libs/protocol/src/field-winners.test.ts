import type { ConflictDraft, JsonObject } from '@sync/domain';
import type { ConflictDecision } from './conflict-record.ts';
import { decidedFields } from './field-winners.ts';

const DRAFT: ConflictDraft = {
  ...{ policy: 'lww', entityType: 'note', entityId: 'n1', op: 'patch', base: null, theirsUpdate: null },
  mutationId: '00000000-0000-4000-8000-000000000001',
  ours: { text: 'server', colour: 'white' },
  theirs: { text: 'client' },
  fields: [{ field: 'text', ours: 'server', theirs: 'client', winner: 'open' }],
  ...{ decision: 'open', clockOurs: { 'd:b': 1 }, clockTheirs: { 'd:a': 1 } },
};

const winnersOf = (draft: ConflictDraft, decision: ConflictDecision | null): string[] =>
  decidedFields(draft, decision).map(({ winner }) => winner);

const TWO: ConflictDraft = {
  ...DRAFT,
  ours: { text: 'server', colour: 'white' },
  theirs: { text: 'client', colour: 'red' },
  fields: [
    { field: 'text', ours: 'server', theirs: 'client', winner: 'open' },
    { field: 'colour', ours: 'white', theirs: 'red', winner: 'open' },
  ],
};
const WITHOUT_VALUES = { ...TWO, fields: TWO.fields.map(({ field, winner }) => ({ field, winner })) };
const DELETED: ConflictDraft = { ...DRAFT, ours: null, fields: [{ field: '', winner: 'open' }] };
const REMOVED: ConflictDraft = { ...TWO, fields: [{ field: 'colour', theirs: 'red', winner: 'open' }] };
const REFUSED_UPDATE: ConflictDraft = {
  ...{ ...DRAFT, policy: 'crdt_yjs', theirs: null, theirsUpdate: 'AAA=' },
  fields: [{ field: '', winner: 'open' }],
};
const OVERLAP: ConflictDraft = { ...REFUSED_UPDATE, blocks: [] };

const put = (data: JsonObject | null): ConflictDecision => ({ kind: 'merged', op: 'put', data });
const suggested = (data: JsonObject | null): ConflictDecision => ({
  ...{ kind: 'accept_suggestion', op: 'patch' },
  data,
});

describe('a field that a person had to choose in', () => {
  it.each<readonly [string, ConflictDraft, ConflictDecision | null, readonly string[]]>([
    ['nobody yet', TWO, null, ['open', 'open']],
    ['keep_server', TWO, { kind: 'keep_server' }, ['ours', 'ours']],
    ['keep_client', TWO, { kind: 'keep_client', op: 'patch', data: TWO.theirs }, ['theirs', 'theirs']],
    ['merged, a side each', TWO, put({ text: 'client', colour: 'white' }), ['theirs', 'ours']],
    ['merged, with words of its own', TWO, put({ text: 'both', colour: 'red' }), ['merged', 'theirs']],
    [
      'merged, of a large entity',
      WITHOUT_VALUES,
      put({ text: 'client', colour: 'blue' }),
      ['theirs', 'merged'],
    ],
    ['merged, of a removed field', REMOVED, put({ text: 'x' }), ['ours']],
    ['merged, of a deleted entity', DELETED, put({ text: 'client' }), ['theirs']],
    ['a suggestion for one field', TWO, suggested({ text: 'proposed' }), ['merged', 'ours']],
    ['keep_server of a merged document', OVERLAP, { kind: 'keep_server' }, ['merged']],
    ['keep_server of a refused update', REFUSED_UPDATE, { kind: 'keep_server' }, ['ours']],
    ['keep_client of a refused update', REFUSED_UPDATE, { kind: 'keep_client', op: 'merge' }, ['merged']],
  ])('says what %s made of it', (_name, draft, decision, winners) => {
    expect(winnersOf(draft, decision)).toEqual(winners);
  });

  it('is left alone where the policy had decided', () => {
    const auto: ConflictDraft = { ...TWO, fields: [{ field: 'text', winner: 'ours' }] };
    expect(winnersOf(auto, { kind: 'policy' })).toEqual(['ours']);
  });
});
