import type { ContestedField } from './contested-field.ts';
import { checkPatterns, redactMaterial } from './redact-material.ts';

const FIELDS: readonly ContestedField[] = [
  { field: 'title', base: 'Old', ours: 'One', theirs: 'Two' },
  { field: 'SSN', ours: '1', theirs: '2' },
  { field: 'contact', ours: { name: 'A', phones: [{ number: '+49 170 1234567' }] }, theirs: null },
  { field: 'remark', ours: 'call me', theirs: 'mail a@example.org' },
];
const removedBy = async (
  fields: readonly string[],
  patterns: readonly string[],
): Promise<readonly string[]> => (await redactMaterial(FIELDS, { fields, patterns })).removed;

describe('redactMaterial', () => {
  it('leaves everything in without rules', async () => {
    expect(await redactMaterial(FIELDS, { fields: [], patterns: [] })).toEqual({ kept: FIELDS, removed: [] });
  });

  it('takes out a field by its name, whatever the case, at any depth', async () => {
    expect(await removedBy(['ssn'], [])).toEqual(['SSN']);
    expect(await removedBy(['Number'], [])).toEqual(['contact']);
  });

  it('takes out the lines of a text by the name of the text', async () => {
    const line = { field: 'Diagnosis:3', base: 'a', ours: 'b', theirs: 'c', merged: 'bc' };
    const redacted = await redactMaterial([line], { fields: ['diagnosis'], patterns: [] });
    expect(redacted).toEqual({ kept: [], removed: ['Diagnosis:3'] });
  });

  it('takes out a field whole when one of its sides matches a pattern', async () => {
    expect(await removedBy([], ['\\S+@\\S+'])).toEqual(['remark']);
    expect(await removedBy([], ['\\+\\d{2} '])).toEqual(['contact']);
    expect(await removedBy([], ['^old$'])).toEqual(['title']);
  });

  it('treats a pattern that does not come to an end as a match', async () => {
    const slow = [{ field: 'text', ours: `${'a'.repeat(60)}b`, theirs: 'x' }];
    const redacted = await redactMaterial(slow, { fields: [], patterns: ['(a+)+$'] }, 200);
    expect(redacted).toEqual({ kept: [], removed: ['text'] });
  });

  it('refuses what is no pattern', () => {
    expect(() => checkPatterns(['ok', '('])).toThrow(SyntaxError);
  });
});
