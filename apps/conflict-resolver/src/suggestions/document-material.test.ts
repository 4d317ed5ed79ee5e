import type { ConflictDraft, DocumentBlock } from '@sync/domain';
import { suggestedWords } from '../resolve/plan-resolution.ts';
import { DRAFT } from '../testing/conflict-rig.ts';
import { contestedFields } from './conflict-material.ts';

const BLOCK: DocumentBlock = {
  ...{ name: 'body:2', path: 'body', line: 2, key: null, kind: 'same_number', grade: 'severe' },
  merged: 'Take 1020 mg.\n',
};

/** The record of a merge: both sides wrote the same lines. */
function draftOf(...blocks: readonly Partial<DocumentBlock>[]): ConflictDraft {
  const all = blocks.map((changes) => ({ ...BLOCK, ...changes }));
  const sides = (text: string): ConflictDraft['ours'] =>
    Object.fromEntries(all.map(({ name }) => [name, `Take ${text} mg.\n`]));
  return {
    ...{ ...DRAFT, policy: 'crdt_yjs', op: 'merge', theirsUpdate: 'AAA=', blocks: all },
    ...{ base: sides('5'), ours: sides('10'), theirs: sides('20') },
    fields: all.map(({ name }) => ({ field: name, winner: 'open' })),
  };
}

describe('material of a document', () => {
  it('is each severe line: both sides, their base, and what stands there now', () => {
    expect(contestedFields(draftOf({}), { title: 'Dosage' })).toEqual([
      {
        field: 'body:2',
        base: 'Take 5 mg.',
        ours: 'Take 10 mg.',
        theirs: 'Take 20 mg.',
        merged: 'Take 1020 mg.',
      },
    ]);
  });

  it.each<[string, Partial<DocumentBlock>]>([
    ['a minor one', { grade: 'minor' }],
    ['a key of a map', { line: null, key: 'dose' }],
    ['one inside of nested types', { path: 'page/2' }],
    ['one that is gone', { merged: null }],
    ['an empty one', { merged: ' \n' }],
    ['an excerpt', { merged: 'Take …' }],
    ['one with something that is no text', { merged: 'Take \uFFFC\n' }],
  ])('has nothing of %s', (_what, changes) => {
    expect(contestedFields(draftOf(changes), {})).toEqual([]);
  });

  it('has nothing of two blocks of one name, and nothing when the document is gone', () => {
    expect(contestedFields(draftOf({}, {}), {})).toEqual([]);
    expect(contestedFields(draftOf({}), null)).toEqual([]);
  });

  it('comes back as words for the places they were proposed for, and for no other', () => {
    const draft = draftOf({}, { name: 'body:9', merged: 'Twice daly.' });
    const proposed = { 'body:2': 'Take 20 mg.', 'body:3': 'Take all.', title: 'x' };
    expect(suggestedWords(draft, 's1', proposed)).toEqual({
      ...{ op: 'merge', data: null, update: null },
      words: {
        suggestionId: 's1',
        edits: [{ path: 'body', was: 'Take 1020 mg.', text: 'Take 20 mg.' }],
      },
    });
  });
});
