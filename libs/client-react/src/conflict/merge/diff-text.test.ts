import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { combineTexts, diffTexts } from './diff-text.ts';
import type { Segment } from './diff-text.ts';

const MOST = { maxLength: 30 };
const words = fc
  .array(fc.constantFrom('a', 'bc', ' ', '\n', '.', 'ä', '日本', '👩‍🏫', '\ud800'), MOST)
  .map((parts) => parts.join(''));
const without = (segments: readonly Segment[], kind: Segment['kind']): string =>
  segments.flatMap((each) => (each.kind === kind ? [] : [each.text])).join('');

describe('the difference of two texts', () => {
  it('has both of them in it, whatever they are', () => {
    fc.assert(
      fc.property(words, words, (before, after) => {
        const segments = diffTexts(before, after);
        expect(without(segments, 'added')).toBe(before);
        expect(without(segments, 'removed')).toBe(after);
      }),
    );
  });

  it('is nothing where they are the same, and all where they have nothing in common', () => {
    expect(diffTexts('one\ntwo', 'one\ntwo')).toEqual([{ kind: 'same', text: 'one\ntwo' }]);
    expect(diffTexts('', '')).toEqual([]);
    expect(diffTexts('one', '')).toEqual([{ kind: 'removed', text: 'one' }]);
  });

  it('goes by words, and by characters in scripts without spaces', () => {
    expect(diffTexts('Give 5 ml a day.', 'Give 10 ml a day.')).toEqual([
      { kind: 'same', text: 'Give ' },
      { kind: 'removed', text: '5' },
      { kind: 'added', text: '10' },
      { kind: 'same', text: ' ml a day.' },
    ]);
    expect(diffTexts('東京大学', '東京都大学')).toEqual([
      { kind: 'same', text: '東京' },
      { kind: 'added', text: '都' },
      { kind: 'same', text: '大学' },
    ]);
  });

  it('of texts that are too long is told as a whole, and has both of them still', () => {
    const before = Array.from({ length: 5_000 }, (_each, n) => `line ${n}\n`).join('');
    const after = Array.from({ length: 5_000 }, (_each, n) => `row ${n}\n`).join('');
    const segments = diffTexts(before, `${after}end`);
    expect(segments.map(({ kind }) => kind)).toEqual(['removed', 'added']);
    expect(without(segments, 'removed')).toBe(`${after}end`);
  });
});

describe('two changes of one text', () => {
  it('are one where one side changed nothing', () => {
    fc.assert(
      fc.property(words, words, (base, other) => {
        expect(combineTexts(base, other, base)).toBe(other);
        expect(combineTexts(base, base, other)).toBe(other);
      }),
    );
  });

  it('are the same whoever comes first', () => {
    fc.assert(
      fc.property(words, words, words, (base, one, other) => {
        expect(combineTexts(base, one, other) === null).toBe(combineTexts(base, other, one) === null);
      }),
    );
  });

  it('stand both where they do not meet, in one line as well', () => {
    expect(combineTexts('one\ntwo\nthree\n', 'one\n2\nthree\n', 'one\ntwo\nthree\nfour\n')).toBe(
      'one\n2\nthree\nfour\n',
    );
    expect(combineTexts('Give 5 ml twice a day.', 'Give 6 ml twice a day.', 'Give 5 ml thrice a day.')).toBe(
      'Give 6 ml thrice a day.',
    );
  });

  it('are none where they meet', () => {
    expect(combineTexts('Give 5 ml.', 'Give 10 ml.', 'Give 2 ml.')).toBeNull();
  });
});
