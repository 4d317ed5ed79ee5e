import { describe, expect, it } from '@jest/globals';
import * as Y from 'yjs';
import { body, insertAfter, overlapsOf, replace, write, type Edit } from '../testing/fork-document.ts';
import { EXCERPT_LENGTH, MAX_OVERLAPS } from './overlap.ts';

const nothing: Edit = () => undefined;

const inText = (base: string, ours: Edit, theirs: Edit): string[] =>
  overlapsOf(write(base), ours, theirs).overlaps.map(
    ({ kind, grade, block }) => `${grade} ${kind} ${block.line}`,
  );

describe('findOverlaps in a text', () => {
  it('never lets 5 mg become 1020 mg unnoticed', () => {
    const { grade, overlaps } = overlapsOf(
      write('Aspirin\n5 mg daily\n'),
      replace('5', '10'),
      replace('5', '20'),
    );
    expect(grade).toBe('severe');
    expect(overlaps).toEqual([
      {
        block: { path: 'body', line: 2, key: null },
        kind: 'same_number',
        grade: 'severe',
        base: '5 mg daily\n',
        ours: '10 mg daily\n',
        theirs: '20 mg daily\n',
        merged: expect.stringMatching(/^(1020|2010) mg daily\n$/),
      },
    ]);
  });

  it('never takes a number from one side and its unit from the other unnoticed', () => {
    const found = inText('take 5 mg', replace('5', '10'), replace('mg', 'g'));
    expect(found).toEqual(['severe same_number 1']);
    expect(inText('take 5 mg', replace('mg', 'g'), replace('5', '10'))).toEqual(found);
  });

  it.each<[what: string, base: string, ours: Edit, theirs: Edit, found: string[]]>([
    ['digits of one number', '150 mg', replace('1', '2'), replace('0', '5'), ['severe same_number 1']],
    [
      'the same new value, which then stands there twice',
      '5 mg',
      replace('5', '10'),
      replace('5', '10'),
      ['severe same_number 1'],
    ],
    [
      'a digit put before and one behind',
      '5 mg',
      insertAfter('5', '0'),
      (doc) => body(doc).insert(0, '1'),
      ['severe same_number 1'],
    ],
    ['parts of a decimal', '0.5 ml', replace('0', '1'), replace('5', '8'), ['severe same_number 1']],
    ['a sign and the value', 'at 5 °C', insertAfter('at ', '-'), replace('5', '8'), ['severe same_number 1']],
    [
      'numbers put into one gap',
      'dose:  mg',
      insertAfter('dose: ', '10'),
      insertAfter('dose: ', '20'),
      ['severe same_number 1'],
    ],
    [
      'numbers joined by one side',
      '1 2 mg',
      replace(' ', ''),
      insertAfter('1', '3'),
      ['severe same_number 1'],
    ],
    ['a unit', '5 mg', insertAfter('m', 'c'), replace('m', 'k'), ['severe same_token 1']],
    [
      'the groups of a number',
      '1 000 mg',
      replace('1', '2'),
      replace('000', '500'),
      ['severe same_number 1'],
    ],
    ['a comparison and its number', 'if > 5', replace('>', '<'), replace('5', '8'), ['severe same_number 1']],
    [
      'a number that is deleted and its unit',
      'take 5 mg',
      replace('5 ', ''),
      replace('mg', 'g'),
      ['severe same_number 1'],
    ],
    [
      'a number put before a unit that is changed',
      'dose: mg',
      insertAfter('dose: ', '5 '),
      replace('mg', 'g'),
      ['severe same_number 1'],
    ],
    [
      'a number at the end of a sentence and the next word',
      'Take 5. Twice a day.',
      replace('5', '6'),
      replace('Twice', 'Once'),
      ['minor same_block 1'],
    ],
    [
      'the item of a numbered list and its number',
      '1. rest',
      replace('1', '2'),
      replace('rest', 'sleep'),
      ['minor same_block 1'],
    ],
    [
      'a number and the end of its sentence',
      'take 5 eggs',
      replace('5', '6'),
      insertAfter('eggs', ', milk'),
      ['minor same_block 1'],
    ],
    [
      'numbers of two lines that one side joins',
      'take 1\n5 mg',
      replace('\n', ''),
      replace('5', '8'),
      ['severe same_number 1'],
    ],
    [
      'a number put before a break that the other side takes away',
      'take \n5 mg',
      insertAfter('take ', '1'),
      replace('\n', ''),
      ['severe same_number 1'],
    ],
    ['a line that one side deletes and the next', 'a\nb\nc\n', replace('b\n', ''), replace('c', 'd'), []],
    ['one word', 'the colour', replace('colour', 'color'), replace('colour', 'hue'), ['severe same_token 1']],
    [
      'a number that the other deletes',
      'take 5 mg',
      replace('5', '6'),
      replace('5', ''),
      ['severe edit_deleted 1'],
    ],
    [
      'words in a sentence that the other deletes',
      'a.\nTake two daily.\nb.',
      insertAfter('two', ' large pills'),
      replace('Take two daily.', ''),
      ['severe edit_deleted 2'],
    ],
    [
      'words in a sentence that the other rewrites',
      'Take two daily.',
      insertAfter('two', ' large pills'),
      replace('Take two daily.', 'Stop taking it.'),
      ['severe edit_deleted 1'],
    ],
    [
      'different words of a line',
      'one two three',
      replace('one', 'first'),
      replace('three', 'third'),
      ['minor same_block 1'],
    ],
    ['words that meet', 'ab', insertAfter('a', 'x'), insertAfter('a', 'y'), ['severe same_token 1']],
    ['text put into an empty document', '', write('Hello '), write('World '), ['minor same_block 1']],
    ['the same deletion', 'one two', replace(' two', ''), replace(' two', ''), []],
    ['different lines', 'one\ntwo\nthree\n', replace('one', '1'), replace('three', '3'), []],
    [
      'the end of a line and the begin of the next',
      'one\ntwo\n',
      insertAfter('one', '!'),
      insertAfter('\n', '- '),
      [],
    ],
    ['one side only', 'one two', replace('one', 'first'), nothing, []],
    [
      'a format and a word',
      'one two',
      (doc) => body(doc).format(0, 3, { bold: true }),
      replace('two', '2'),
      ['minor same_block 1'],
    ],
  ])('%s', (_what, base, ours, theirs, found) => {
    expect(inText(base, ours, theirs)).toEqual(found);
    expect(inText(base, theirs, ours)).toEqual(found);
  });

  it('shows what JSON in a database cannot hold as a replacement character', () => {
    const { overlaps } = overlapsOf(write('5 mg'), replace('5', '10'), replace('5', '2\0\ud800'));
    const shown = overlaps.flatMap(({ ours, theirs, merged }) => [ours, theirs, merged]);
    expect(shown.join('')).toContain('2\ufffd');
    expect(shown.every((text) => text === null || (text.isWellFormed() && !text.includes('\0')))).toBe(true);
  });

  it('shows a long line where it differs, and bounds its list', () => {
    const long = `${'word '.repeat(1_000)}5 mg ${'word '.repeat(1_000)}`;
    const [first] = overlapsOf(write(long), replace('5', '10'), replace('5', '20')).overlaps;
    expect(first?.ours).toContain('10 mg');
    expect(first?.ours?.length).toBeLessThanOrEqual(EXCERPT_LENGTH);
    const lines = Array.from({ length: MAX_OVERLAPS + 5 }, (_unused, index) => `dose ${index}x\n`).join('');
    const everywhere =
      (digit: string): Edit =>
      (doc) => {
        for (let at = body(doc).length - 1; at >= 0; at -= 1) {
          if (body(doc).toJSON()[at] === 'x') body(doc).insert(at, digit);
        }
      };
    const report = overlapsOf(write(lines), everywhere('1'), everywhere('2'));
    expect([report.overlaps.length, report.omitted, report.grade]).toEqual([MAX_OVERLAPS, 5, 'severe']);
  });
});

describe('findOverlaps in maps, lists and elements', () => {
  const fields = (doc: Y.Doc): Y.Map<unknown> => doc.getMap('fields');
  const set =
    (key: string, value: unknown): Edit =>
    (doc) =>
      fields(doc).set(key, value);
  const kindsOf = (base: Edit, ours: Edit, theirs: Edit): string[] =>
    overlapsOf(base, ours, theirs).overlaps.map(
      ({ kind, grade, block }) =>
        `${grade} ${kind} ${block.path}${block.key === null ? '' : `.${block.key}`}`,
    );

  it('reports a key that both set, with both values', () => {
    const report = overlapsOf(set('dose', 5), set('dose', 10), set('dose', 20));
    expect(report.overlaps).toMatchObject([
      {
        kind: 'same_number',
        grade: 'severe',
        base: '5',
        ours: '10',
        theirs: '20',
        block: { path: 'fields', key: 'dose' },
      },
    ]);
    expect(kindsOf(set('a', 'x'), set('a', 'y'), set('a', 'z'))).toEqual(['severe same_key fields.a']);
    expect(kindsOf(set('a', 'x'), set('a', 'y'), (doc) => fields(doc).delete('a'))).toEqual([
      'severe edit_deleted fields.a',
    ]);
    expect(kindsOf(set('a', 'x'), set('a', 'y'), set('a', 'y'))).toEqual([]);
    expect(kindsOf(set('a', 'x'), set('a', 'y'), set('b', 'z'))).toEqual([]);
    const nested =
      (dose: number): Edit =>
      (doc) =>
        fields(doc).set('a', new Y.Map([['dose', dose]]));
    expect(kindsOf(nested(5), nested(10), nested(20))).toEqual(['severe same_key fields.a']);
    expect(kindsOf(nested(5), nested(10), (doc) => fields(doc).delete('a'))).toEqual([
      'severe edit_deleted fields.a',
    ]);
  });

  const page = (doc: Y.Doc): Y.XmlFragment => doc.getXmlFragment('page');
  const paragraph = (text: string): Y.XmlElement => {
    const element = new Y.XmlElement('p');
    element.insert(0, [new Y.XmlText(text)]);
    return element;
  };
  const twoParagraphs: Edit = (doc) => page(doc).insert(0, [paragraph('first'), paragraph('take 5 mg')]);
  const textOf = (doc: Y.Doc, index: number): Y.XmlText =>
    (page(doc).get(index) as Y.XmlElement).get(0) as Y.XmlText;

  it('reports text inside of an element that the other side deleted', () => {
    const edit: Edit = (doc) => textOf(doc, 1).insert(4, ' only');
    const remove: Edit = (doc) => page(doc).delete(1, 1);
    expect(overlapsOf(twoParagraphs, edit, remove).overlaps).toEqual([
      {
        block: { path: 'page/1', line: null, key: null },
        kind: 'edit_deleted',
        grade: 'severe',
        base: 'take 5 mg',
        ours: 'take only 5 mg',
        theirs: null,
        merged: null,
      },
    ]);
    expect(overlapsOf(twoParagraphs, remove, edit).overlaps).toMatchObject([
      { ours: null, theirs: 'take only 5 mg' },
    ]);
    expect(kindsOf(twoParagraphs, remove, remove)).toEqual([]);
    expect(kindsOf(twoParagraphs, (doc) => textOf(doc, 0).insert(0, 'x'), remove)).toEqual([]);
  });

  it('compares texts and attributes of elements like others', () => {
    const dose =
      (to: string): Edit =>
      (doc) => {
        textOf(doc, 1).delete(5, 1);
        textOf(doc, 1).insert(5, to);
      };
    expect(kindsOf(twoParagraphs, dose('10'), dose('20'))).toEqual(['severe same_number page/1/0']);
    const align =
      (to: string): Edit =>
      (doc) =>
        (page(doc).get(1) as Y.XmlElement).setAttribute('align', to);
    expect(kindsOf(twoParagraphs, align('left'), align('right'))).toEqual(['severe same_key page/1.align']);
    expect(
      kindsOf(
        twoParagraphs,
        (doc) => page(doc).insert(0, [paragraph('a')]),
        (doc) => page(doc).insert(0, [paragraph('b')]),
      ),
    ).toEqual([]);
  });

  it('reports an element of a list that both replaced', () => {
    const list = (doc: Y.Doc): Y.Array<unknown> => doc.getArray('list');
    const base: Edit = (doc) => list(doc).insert(0, [1, 5, 9]);
    const replaceBy =
      (value: unknown): Edit =>
      (doc) => {
        list(doc).delete(1, 1);
        list(doc).insert(1, [value]);
      };
    expect(kindsOf(base, replaceBy(10), replaceBy(20))).toEqual(['severe same_number list']);
    expect(kindsOf(base, replaceBy('x'), replaceBy('y'))).toEqual(['severe same_token list']);
    const replaceLastBy =
      (value: unknown): Edit =>
      (doc) => {
        list(doc).delete(2, 1);
        list(doc).push([value]);
      };
    expect(kindsOf(base, replaceLastBy(10), replaceLastBy(20))).toEqual(['severe same_number list']);
    const drop: Edit = (doc) => list(doc).delete(1, 1);
    expect(kindsOf(base, replaceBy(10), drop)).toEqual(['severe edit_deleted list']);
    expect(kindsOf(base, drop, drop)).toEqual([]);
    expect(
      kindsOf(
        base,
        (doc) => list(doc).push([1]),
        (doc) => list(doc).push([2]),
      ),
    ).toEqual([]);
    expect(
      kindsOf(
        base,
        (doc) => list(doc).delete(0, 1),
        (doc) => list(doc).delete(2, 1),
      ),
    ).toEqual([]);
  });
});
