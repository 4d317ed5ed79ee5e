/** Keeps docs/protocol.md honest: every rule names tests that exist, every test of the conformance kit belongs to a rule. */
import { readFile, readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { LIMITS, LIVE_CLOSE_CODES, OUTCOME_CODES, PROBLEM_CODES } from '@sync/protocol';
import { readRules, readTestTitles } from './read-rules.ts';
import type { ProtocolRule, TestReference } from './read-rules.ts';

const root = resolve(import.meta.dirname, '../..');
const kit = 'e2e/conformance/src';

const known = new Map<string, Promise<string[]>>();
function titlesIn(path: string): Promise<string[]> {
  const titles = known.get(path) ?? readFile(join(root, path), 'utf8').then(readTestTitles, () => []);
  known.set(path, titles);
  return titles;
}
const textOf = ({ path, title }: TestReference): string => `${path} › ${title}`;

describe('docs/protocol.md', () => {
  let text = '';
  let rules: ProtocolRule[] = [];

  beforeAll(async () => {
    text = await readFile(join(root, 'docs/protocol.md'), 'utf8');
    rules = readRules(text);
  });

  it('numbers its rules without gaps, and each has a test', () => {
    const counts = new Map<string, number>();
    for (const { id, tests } of rules) {
      const [prefix = '', number] = id.split('-');
      counts.set(prefix, (counts.get(prefix) ?? 0) + 1);
      expect({ id, number: Number(number) }).toEqual({ id, number: counts.get(prefix) });
      expect({ id, tests: tests.length > 0 }).toEqual({ id, tests: true });
    }
    expect(rules.length).toBeGreaterThan(60);
  });

  it('names only tests that exist', async () => {
    const missing: string[] = [];
    for (const { id, tests } of rules) {
      for (const reference of tests) {
        if (!(await titlesIn(reference.path)).includes(reference.title))
          missing.push(`${id}: ${textOf(reference)}`);
      }
    }
    expect(missing).toEqual([]);
  });

  it('has a rule for every test of the conformance kit', async () => {
    const named = new Set(rules.flatMap(({ tests }) => tests.map(textOf)));
    const files = (await readdir(join(root, kit))).filter((file) => file.endsWith('.test.ts'));
    const all = await Promise.all(
      files.map(async (file) =>
        (await titlesIn(`${kit}/${file}`)).map((title) => textOf({ path: `${kit}/${file}`, title })),
      ),
    );
    expect(all.flat().filter((test) => !named.has(test))).toEqual([]);
  });

  it('lists every limit and every code as the code has it', () => {
    const rows = [
      ...Object.values(LIMITS).map((limit) => `| ${limit.toLocaleString('en')} |`),
      ...Object.entries(PROBLEM_CODES).map(
        ([code, { status, retryable, title }]) =>
          `| \`${code}\` | ${status} | ${retryable ? 'yes' : 'no'} | ${title}.`,
      ),
      ...Object.entries(OUTCOME_CODES).map(([code, meaning]) => `| \`${code}\` | ${meaning} |`),
      ...Object.values(LIVE_CLOSE_CODES).map(({ code, meaning }) => `| ${code} | ${meaning} |`),
    ];
    expect(rows.filter((row) => !text.replace(/ +\|/g, ' |').includes(row))).toEqual([]);
  });
});

describe('readRules', () => {
  it('reads rows with an id, and splits references', () => {
    const markdown = [
      '# x',
      '| rule | | test |',
      '| --- | --- | --- |',
      '| A-1 | Says `a`. | `x.test.ts` › does a<br>`y.test.ts` › b › c |',
      '| not a rule | | |',
      '| A-2 | No test. | |',
      '| A-3 | Escapes. | `x.test.ts` › \\_a \\| b\\* |',
    ].join('\n');
    expect(readRules(markdown)).toEqual([
      {
        id: 'A-1',
        text: 'Says `a`.',
        tests: [
          { path: 'x.test.ts', title: 'does a' },
          { path: 'y.test.ts', title: 'b › c' },
        ],
        line: 4,
      },
      { id: 'A-2', text: 'No test.', tests: [], line: 6 },
      { id: 'A-3', text: 'Escapes.', tests: [{ path: 'x.test.ts', title: '_a | b*' }], line: 7 },
    ]);
  });
});

describe('readTestTitles', () => {
  it('finds it, test and it.each, nested and generic, but no other calls', () => {
    const source = `
      describe('d', () => { it('one', () => {}); test(\`two\`, () => {}); });
      it.each([1])('three %s', () => {});
      it.each<[string]>([['x']])('four', () => {});
      it(name, () => {}); emit('five'); it.skip('six', () => {});`;
    expect(readTestTitles(source)).toEqual(['one', 'two', 'three %s', 'four']);
  });
});
