/**
 * Keeps docs/protocol.md honest: every rule names tests that exist, every test of the conformance kits
 * belongs to a rule.
 */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { SERVER_KIT, checkNames, titlesIn } from '@sync/e2e-conformance';
import { OWNER_KIT } from '@sync/e2e-owner-conformance';
import { BODY_LIMITS, LIMITS, OUTCOME_CODES, PROBLEM_CODES, liveCloseCodes } from '@sync/protocol';
import { readRules, readRuleTests } from './read-rules.ts';
import type { ProtocolRule, TestReference } from './read-rules.ts';

const root = resolve(import.meta.dirname, '../..');

const known = new Map<string, Promise<string[]>>();
function titlesOf(path: string): Promise<string[]> {
  const titles = known.get(path) ?? readFile(join(root, path), 'utf8').then(titlesIn, () => []);
  known.set(path, titles);
  return titles;
}
const textOf = ({ path, title }: TestReference): string => `${path} › ${title}`;

describe('docs/protocol.md', () => {
  let text = '';
  let rules: ProtocolRule[] = [];
  let tests = new Map<string, TestReference[]>();

  beforeAll(async () => {
    text = await readFile(join(root, 'docs/protocol.md'), 'utf8');
    rules = readRules(text);
    tests = readRuleTests(await readFile(join(root, 'docs/protocol-tests.md'), 'utf8'));
  });

  it('numbers its rules without gaps, and each has a test', () => {
    const counts = new Map<string, number>();
    for (const { id } of rules) {
      const [prefix = '', number] = id.split('-');
      counts.set(prefix, (counts.get(prefix) ?? 0) + 1);
      expect({ id, number: Number(number) }).toEqual({ id, number: counts.get(prefix) });
    }
    expect(rules.length).toBeGreaterThan(60);
    const tested = [...tests].filter(([, references]) => references.length > 0).map(([id]) => id);
    expect(tested).toEqual(rules.map(({ id }) => id));
  });

  it('names only tests that exist', async () => {
    const missing: string[] = [];
    for (const [id, references] of tests) {
      for (const reference of references) {
        if (!(await titlesOf(reference.path)).includes(reference.title))
          missing.push(`${id}: ${textOf(reference)}`);
      }
    }
    expect(missing).toEqual([]);
  });

  it('has a rule for every test of the conformance kits', async () => {
    const named = new Set([...tests.values()].flat().map(textOf));
    const all = (await Promise.all([SERVER_KIT, OWNER_KIT].map(checkNames))).flat().map(textOf);
    expect(all.filter((test) => !named.has(test))).toEqual([]);
  });

  it('lists every limit and every code as the code has it', () => {
    const rows = [
      ...Object.values(LIMITS).map((limit) => `| ${limit.toLocaleString('en')} |`),
      ...Object.values(BODY_LIMITS).map(
        (limits) =>
          `| ${Object.values(limits)
            .map((limit) => limit.toLocaleString('en'))
            .join(' | ')} |`,
      ),
      ...Object.entries(PROBLEM_CODES).map(
        ([code, { status, retryable, title }]) =>
          `| \`${code}\` | ${status} | ${retryable ? 'yes' : 'no'} | ${title}.`,
      ),
      ...Object.entries(OUTCOME_CODES).map(([code, meaning]) => `| \`${code}\` | ${meaning} |`),
      ...liveCloseCodes().map(({ code, meaning }) => `| ${code} | ${meaning} |`),
    ];
    expect(rows.filter((row) => !text.replace(/ +\|/g, ' |').includes(row))).toEqual([]);
  });
});

describe('readRules', () => {
  it('reads paragraphs that begin with an id, up to the empty line', () => {
    const markdown = ['# x', '', '**A-1** Says `a`,', 'in two lines.', '', '**not** a rule', '', '**A-2** b'];
    expect(readRules(markdown.join('\n'))).toEqual([
      { id: 'A-1', text: 'Says `a`, in two lines.', line: 3 },
      { id: 'A-2', text: 'b', line: 8 },
    ]);
  });
});

describe('readRuleTests', () => {
  it('reads the list below each id, a title with its arrows and without its escapes', () => {
    const markdown = [
      '# x',
      '',
      '## A-1',
      '',
      '- `x.test.ts` › does a',
      '- `y.test.ts` › b › \\_c\\_',
      '',
      '## A-2',
      '',
    ];
    expect(readRuleTests(markdown.join('\n'))).toEqual(
      new Map([
        [
          'A-1',
          [
            { path: 'x.test.ts', title: 'does a' },
            { path: 'y.test.ts', title: 'b › _c_' },
          ],
        ],
        ['A-2', []],
      ]),
    );
  });
});

describe('titlesIn', () => {
  it('finds it, test and it.each, nested and generic, but no other calls', () => {
    const source = `
      describe('d', () => { it('one', () => {}); test(\`two\`, () => {}); });
      it.each([1])('three %s', () => {});
      it.each<[string]>([['x']])('four', () => {});
      it(name, () => {}); emit('five'); it.skip('six', () => {});`;
    expect(titlesIn(source)).toEqual(['one', 'two', 'three %s', 'four']);
  });
});
