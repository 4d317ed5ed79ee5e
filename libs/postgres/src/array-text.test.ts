import { describe, expect, it } from '@jest/globals';
import { arrayText } from './array-text.ts';

describe('arrayText', () => {
  it('writes what Postgres reads as an array', () => {
    expect(arrayText([])).toBe('{}');
    expect(arrayText(['user:ada', 'NULL', 'a,b', null, 1.5, true])).toBe(
      '{"user:ada","NULL","a,b",NULL,"1.5","true"}',
    );
  });
});
