import type { ContestedField } from './conflict-material.ts';
import { checkPatterns, redactMaterial } from './redact-material.ts';

const FIELDS: readonly ContestedField[] = [
  { field: 'title', base: 'Old', ours: 'One', theirs: 'Two' },
  { field: 'SSN', ours: '1', theirs: '2' },
  { field: 'contact', ours: { name: 'A', phones: [{ number: '+49 170 1234567' }] }, theirs: null },
  { field: 'remark', ours: 'call me', theirs: 'mail a@example.org' },
];
const removedBy = (fields: readonly string[], patterns: readonly string[]): readonly string[] =>
  redactMaterial(FIELDS, { fields, patterns }).removed;

describe('redactMaterial', () => {
  it('leaves everything in without rules', () => {
    expect(redactMaterial(FIELDS, { fields: [], patterns: [] })).toEqual({ kept: FIELDS, removed: [] });
  });

  it('takes out a field by its name, whatever the case, at any depth', () => {
    expect(removedBy(['ssn'], [])).toEqual(['SSN']);
    expect(removedBy(['Number'], [])).toEqual(['contact']);
  });

  it('takes out a field whole when one of its sides matches a pattern', () => {
    expect(removedBy([], ['\\S+@\\S+'])).toEqual(['remark']);
    expect(removedBy([], ['\\+\\d{2} '])).toEqual(['contact']);
    expect(removedBy([], ['^old$'])).toEqual(['title']);
  });

  it('treats a pattern that does not come to an end as a match', () => {
    const slow = [{ field: 'text', ours: `${'a'.repeat(60)}b`, theirs: 'x' }];
    expect(redactMaterial(slow, { fields: [], patterns: ['(a+)+$'] }).removed).toEqual(['text']);
  });

  it('refuses what is no pattern', () => {
    expect(() => checkPatterns(['ok', '('])).toThrow(SyntaxError);
  });
});
