import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import * as Y from 'yjs';
import { authorKindOf } from '../admission/client-ids.ts';
import { rewriteLines, type LineEdit } from './rewrite-lines.ts';
import { stateVectorOf } from './document-state.ts';

const CLIENT = 2 ** 33 + 7;

function docOf(text: string): Y.Doc {
  const doc = new Y.Doc();
  doc.clientID = 1;
  doc.getText('body').insert(0, text);
  return doc;
}

/** The text afterwards, or the place of the edit that could not be made. */
function rewritten(doc: Y.Doc, ...edits: readonly Omit<LineEdit, 'path'>[]): string | number {
  const all = edits.map((edit) => ({ path: 'body', ...edit }));
  const result = rewriteLines(Y.encodeStateAsUpdate(doc), all, CLIENT);
  if (!result.ok) return result.edit;
  if (result.update) Y.applyUpdate(doc, result.update);
  return doc.getText('body').toJSON();
}

describe('rewriteLines', () => {
  it('writes under its own clientID, and only what differs', () => {
    const doc = docOf('Aspirin\n1020 mg daily\n');
    expect(rewritten(doc, { was: '1020 mg daily', text: '20 mg daily' })).toBe('Aspirin\n20 mg daily\n');
    const written = stateVectorOf(Y.encodeStateAsUpdate(doc));
    expect(authorKindOf(CLIENT)).toBe('suggestion');
    expect(written.get(CLIENT)).toBe('20'.length);
  });

  it.each([
    ['a b c', 'a c', 'c'],
    ['a b', 'a', 'a'],
    ['x \u{1f600} y', 'x \u{1f601} y', '\u{1f601}'],
    ['one two', 'three one two', 'three one'],
    ['x', 'y z', 'y z'],
  ])('writes whole words, also where some only have to go: %j to %j', (was, text, words) => {
    const doc = docOf(was);
    expect(rewritten(doc, { was, text })).toBe(text);
    expect(stateVectorOf(Y.encodeStateAsUpdate(doc)).get(CLIENT)).toBe(words.length);
  });

  it.each([
    ['is not there any more', 'Take 5 mg\n', 'Take 6 mg'],
    ['is a part of a line only', 'Do not take 5 mg\n', 'take 5 mg'],
    ['stands there twice', 'a\nb\na\n', 'a'],
    ['is nothing', 'a\n\nb', ''],
  ])('changes nothing when what is to be rewritten %s', (_what, text, was) => {
    const doc = docOf(text);
    expect(rewritten(doc, { was: text.split('\n')[0] ?? '', text: 'x' }, { was, text: 'y' })).toEqual(
      expect.any(Number),
    );
    expect(doc.getText('body').toJSON()).toBe(text);
  });

  it('takes the words of one edit for no line of another', () => {
    const doc = docOf('1020 mg\n11 mg\n');
    const chained = [
      { was: '1020 mg', text: '10 mg' },
      { was: '10 mg', text: '20 mg' },
    ];
    expect(rewritten(doc, ...chained)).toBe(1);
    expect(rewritten(doc, { was: '1020 mg\n11 mg', text: 'x' }, { was: '11 mg', text: '12 mg' })).toBe(1);
    const both = [
      { was: '1020 mg', text: '11 mg' },
      { was: '11 mg', text: '1020 mg daily' },
    ];
    expect(rewritten(doc, ...both)).toBe('11 mg\n1020 mg daily\n');
  });

  it('finds the place also behind values that a device put into the text', () => {
    const hostile = new Y.Doc();
    hostile.clientID = 1;
    hostile.getArray('body').insert(0, [1, 2, 3]);
    const doc = new Y.Doc();
    Y.applyUpdate(doc, Y.encodeStateAsUpdate(hostile));
    doc.getText('body').insert(3, '\nTake 5 mg\nStop 5 mg');
    expect(rewritten(doc, { was: 'Take 5 mg', text: 'Take 6 mg' })).toBe('\nTake 6 mg\nStop 5 mg');
  });

  it('says nothing when everything stands there already', () => {
    const state = Y.encodeStateAsUpdate(docOf('a\nb'));
    const same = [{ path: 'body', was: 'b', text: 'b' }];
    expect(rewriteLines(state, same, CLIENT)).toEqual({ ok: true, update: null });
    expect(rewriteLines(state, [{ path: 'other', was: 'b', text: 'c' }], CLIENT)).toEqual({
      ok: false,
      edit: 0,
    });
  });

  it('keeps what stands beside it: formats, things that are no text, and edits made meanwhile', () => {
    const doc = docOf('first\nsecond\nthird');
    doc.getText('body').insertEmbed(0, { image: 'x' });
    doc.getText('body').format(7, 6, { bold: true });
    const other = new Y.Doc();
    Y.applyUpdate(other, Y.encodeStateAsUpdate(doc));
    other.getText('body').insert(other.getText('body').length, '!');
    expect(rewritten(doc, { was: 'second', text: 'seconds' })).toBe('first\nseconds\nthird');
    Y.applyUpdate(doc, Y.encodeStateAsUpdate(other));
    expect(doc.getText('body').toJSON()).toBe('first\nseconds\nthird!');
    expect((doc.getText('body').toDelta() as { insert: unknown }[])[0]?.insert).toEqual({ image: 'x' });
  });

  it('gives the line the proposed words, whatever they are', () => {
    const line = fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll(/[\n\0\ufffc]/g, ''));
    fc.assert(
      fc.property(line, line, line, (before, was, text) => {
        fc.pre(was !== before && was !== 'end' && was !== '');
        const doc = docOf(`${before}\n${was}\nend`);
        expect(rewritten(doc, { was, text })).toBe(`${before}\n${text}\nend`);
      }),
      { numRuns: 300 },
    );
  });
});
