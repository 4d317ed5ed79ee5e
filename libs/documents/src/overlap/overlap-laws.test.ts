import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import * as Y from 'yjs';
import { body, fork, overlapsOf, write, type Edit } from '../testing/fork-document.ts';
import { findOverlaps } from './find-overlaps.ts';
import type { OverlapReport } from './overlap.ts';

describe('findOverlaps over random edits', () => {
  const edit = fc.record({
    kind: fc.constantFrom('insert', 'delete', 'key', 'paragraph', 'unparagraph', 'inside'),
    at: fc.nat(1_000),
    text: fc.constantFrom('a', ' ', '7', 'x y', '\n', '.5', '§'),
  });
  const apply = (doc: Y.Doc, { kind, at, text }: { kind: string; at: number; text: string }): void => {
    const length = body(doc).length;
    const children = doc.getXmlFragment('page');
    if (kind === 'insert') body(doc).insert(at % (length + 1), text);
    else if (kind === 'delete') body(doc).delete(at % length, Math.min(1 + (at % 5), length - (at % length)));
    else if (kind === 'key') doc.getMap('fields').set(`k${at % 2}`, at % 3);
    else if (kind === 'paragraph') children.insert(at % (children.length + 1), [new Y.XmlText(text)]);
    else if (kind === 'unparagraph') children.delete(at % children.length, 1);
    else (children.get(at % children.length) as Y.XmlText).insert(0, text);
  };
  const guarded = (doc: Y.Doc, steps: readonly Parameters<typeof apply>[1][]): void => {
    for (const step of steps) {
      if (step.kind === 'delete' && body(doc).length === 0) continue;
      if (['unparagraph', 'inside'].includes(step.kind) && doc.getXmlFragment('page').length === 0) continue;
      apply(doc, step);
    }
  };
  const start: Edit = (doc) => {
    body(doc).insert(0, 'Take 5 mg.\nTwice a day.\n\nNo more than 10.5 ml\n');
    doc.getMap('fields').set('k0', 9);
    doc.getXmlFragment('page').insert(0, [new Y.XmlText('one 1'), new Y.XmlText('two 2')]);
  };
  const edits = fc.array(edit, { maxLength: 8 });

  it('is symmetric in its sides', () => {
    fc.assert(
      fc.property(edits, edits, (first, second) => {
        const { base, ours, theirs } = fork(
          start,
          (doc) => guarded(doc, first),
          (doc) => guarded(doc, second),
        );
        const exchange = ({ overlaps, ...rest }: OverlapReport): OverlapReport => ({
          ...rest,
          overlaps: overlaps.map((one) => ({ ...one, ours: one.theirs, theirs: one.ours })),
        });
        const sort = (report: OverlapReport): unknown => ({
          ...report,
          overlaps: report.overlaps.map((one) => JSON.stringify(one)).sort(),
        });
        expect(sort(exchange(findOverlaps([base], [theirs], [ours])))).toEqual(
          sort(findOverlaps([base], [ours], [theirs])),
        );
      }),
      { numRuns: 500 },
    );
  });

  it('says the same whether it gets updates or states, and nothing about what both have', () => {
    fc.assert(
      fc.property(edits, edits, (first, second) => {
        const { base, ours, theirs } = fork(
          start,
          (doc) => guarded(doc, first),
          (doc) => guarded(doc, second),
        );
        const report = findOverlaps([base], [ours], [theirs]);
        const [oursState, theirsState] = [ours, theirs].map((update) => Y.mergeUpdates([base, update]));
        if (!oursState || !theirsState) throw new RangeError();
        expect(findOverlaps([base], [oursState], [theirsState])).toEqual(report);
        expect(findOverlaps([base], [ours], [ours]).grade).toBe('none');
      }),
      { numRuns: 200 },
    );
  });

  it('is silent about disjoint lines', () => {
    const lineEdits = fc.array(
      fc.record({ at: fc.nat(100), text: fc.constantFrom('7', 'x', ' ', '\n', ''), cut: fc.nat(3) }),
      { minLength: 1, maxLength: 6 },
    );
    const lines = ['first 1 line', 'second 2 line', 'third 3 line'];
    /** Edits inside of one line: behind what precedes it and before its own line break. */
    const inLine =
      (index: number, steps: readonly { at: number; text: string; cut: number }[]): Edit =>
      (doc) => {
        const before = lines.slice(0, index).join('\n').length + (index > 0 ? 1 : 0);
        let length = lines[index]?.length ?? 0;
        for (const { at, text, cut } of steps) {
          const place = at % (length + 1);
          const cutNow = Math.min(cut, length - place);
          if (cutNow > 0) body(doc).delete(before + place, cutNow);
          if (text !== '') body(doc).insert(before + place, text);
          length += text.length - cutNow;
        }
      };
    fc.assert(
      fc.property(lineEdits, lineEdits, (first, second) => {
        const report = overlapsOf(write(lines.join('\n')), inLine(0, first), inLine(2, second));
        expect(report).toEqual({ grade: 'none', overlaps: [], omitted: 0 });
      }),
      { numRuns: 300 },
    );
  });

  it('is severe whenever both changed one number', () => {
    const number = fc.integer({ min: 1, max: 99_999 }).map(String);
    const around = fc.constantFrom(['', ''], ['take ', ' mg'], ['(', ')'], ['x = ', ';']);
    /** Whole, or digit by digit from the end, as somebody does with backspace. */
    const rewrite =
      (before: number, from: string, to: string, whole: boolean): Edit =>
      (doc) => {
        if (whole) body(doc).delete(before, from.length);
        else for (let left = from.length; left > 0; left -= 1) body(doc).delete(before + left - 1, 1);
        body(doc).insert(before, to);
      };
    fc.assert(
      fc.property(
        number,
        number,
        number,
        around,
        fc.boolean(),
        fc.boolean(),
        (was, ours, theirs, [left = '', right = ''], a, b) => {
          fc.pre(was !== ours && was !== theirs);
          const report = overlapsOf(
            write(`${left}${was}${right}`),
            rewrite(left.length, was, ours, a),
            rewrite(left.length, was, theirs, b),
          );
          expect(report).toMatchObject({ grade: 'severe', overlaps: [{ kind: 'same_number' }] });
        },
      ),
      { numRuns: 300 },
    );
  });
});
