import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { type Defence, DEFENCES } from './defences.ts';
import { occurrences, runWithout, verdictOf, withoutDefence } from './mutant.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const security = readFileSync(join(ROOT, 'SECURITY.md'), 'utf8');

describe('the defences that can be taken away', () => {
  it.each(DEFENCES)('$against: stands where it is looked for, once, and has a test', (defence) => {
    const source = readFileSync(join(ROOT, defence.file), 'utf8');
    expect(occurrences(source, defence)).toBe(1);
    expect(withoutDefence(source, defence)).not.toBe(source);
    expect(existsSync(join(ROOT, defence.test))).toBe(true);
    expect(security).toContain(`\`${defence.test}\``);
  });

  it('are many, each another one', () => {
    expect(DEFENCES.length).toBeGreaterThanOrEqual(12);
    expect(new Set(DEFENCES.map(({ text }) => text)).size).toBe(DEFENCES.length);
  });
});

describe('a verdict', () => {
  const report = { numFailedTests: 0, numPassedTests: 3, numRuntimeErrorTestSuites: 0 };

  it('is red only by a test that ran', () => {
    expect(verdictOf(report)).toBe('green');
    expect(verdictOf({ ...report, numFailedTests: 1 })).toBe('red');
    expect(verdictOf({ ...report, numFailedTests: 1, numRuntimeErrorTestSuites: 1 })).toBe('broken');
    expect(verdictOf({ ...report, numPassedTests: 0 })).toBe('broken');
  });

  it('is broken where the text is not found, or found twice, and the file is as it was', async () => {
    const copy = await mkdtemp(join(tmpdir(), 'defences-test-'));
    await mkdir(join(copy, 'tools'));
    const defence: Defence = { against: 'a', file: 'tools/a.ts', text: 'check()', without: '', test: 'none' };
    for (const source of ['', 'check(); check();']) {
      await writeFile(join(copy, defence.file), source);
      expect(await runWithout(copy, defence)).toBe('broken');
      expect(await readFile(join(copy, defence.file), 'utf8')).toBe(source);
    }
    await rm(copy, { recursive: true });
  });
});
