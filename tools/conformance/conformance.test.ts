import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import {
  BROKEN_SERVERS,
  type CheckResult,
  SERVER_KIT,
  checkOf,
  patternOf,
  sourceTitleOf,
} from '@sync/e2e-conformance';
import { BROKEN_OWNERS, OWNER_KIT } from '@sync/e2e-owner-conformance';
import { readRuleTests } from '../protocol-rules/read-rules.ts';
import { readCommandLine } from './command-line.ts';
import { checksOf, judgeRules } from './judge-rules.ts';
import { reportCatches } from './report-catches.ts';
import { asJunit, asMarkdown, asText } from './report.ts';

const PATH = 'e2e/conformance/src/a.test.ts';

const result = (title: string, status: CheckResult['status'], why = ''): CheckResult => {
  return { path: PATH, title, ran: title, status, why };
};

const rule = (id: string) => ({ id, text: `What [${id}](#x) says: e.g.this. And more of it.`, line: 1 });

/** Every verdict that there is, and a rule whose check has no result. */
const RULES = ['A-1', 'A-2', 'A-3', 'B-1', 'B-2', 'B-3', 'B-4'].map(rule);
const REFERENCES = new Map([
  ['A-1', [{ path: PATH, title: 'one' }]],
  [
    'A-2',
    [
      { path: PATH, title: 'one' },
      { path: PATH, title: 'needy' },
    ],
  ],
  ['A-3', [{ path: PATH, title: 'needy' }]],
  [
    'B-1',
    [
      { path: PATH, title: 'wrong' },
      { path: PATH, title: 'one' },
    ],
  ],
  ['B-2', [{ path: 'apps/b.test.ts', title: 'inside' }]],
  ['B-3', [{ path: PATH, title: 'lost' }]],
  ['B-4', [{ path: 'e2e/owner-conformance/src/push.test.ts', title: 'two' }]],
]);
const RESULTS = [
  result('one', 'passed'),
  result('needy', 'not checked', '--learning URL'),
  result('wrong', 'failed', 'expected <1> & "2"\u0000\n    at here.ts:1'),
];

describe('the report', () => {
  const report = judgeRules(SERVER_KIT, RULES, REFERENCES, RESULTS);
  const lines = report.groups.flatMap((group) => group.lines);

  it('has a verdict of every rule, and leaves none out', () => {
    expect(lines.map(({ id, kind, verdict, why }) => [id, kind, verdict, why])).toEqual([
      ['A-1', 'passed', 'holds', ''],
      ['A-2', 'passed', 'holds as far as it was checked', '1 of 2 checks, the rest needs --learning URL'],
      ['A-3', 'skipped', 'not checked here', 'needs --learning URL'],
      ['B-1', 'failed', 'BROKEN', '1 of 2 checks\nwrong\nexpected <1> & "2"\u0000'],
      ['B-2', 'skipped', 'no black-box check', '1 tests of this project look inside'],
      ['B-3', 'failed', 'BROKEN', '1 of 1 checks\nlost\nit has no result'],
      ['B-4', 'skipped', 'of owning services', '--owner FILE checks them'],
    ]);
  });

  it('counts them', () => {
    expect(report.summary).toEqual([
      '7 rules: 1 hold, 1 hold as far as checked, 2 BROKEN, 1 not checked here, 1 of owning services, ' +
        '1 without a black-box check.',
      '3 checks: 1 passed, 1 failed, 1 not checked here.',
    ]);
  });

  it('is text, with all that is known of what failed', () => {
    const text = asText(report);
    expect(text).toContain('\n  ✗ B-1  BROKEN: 1 of 2 checks\n');
    expect(text).toContain('expected <1>');
    expect(text).toContain('\n  – A-3  not checked here: needs --learning URL\n');
  });

  it('is Markdown with a table a section', () => {
    const text = asMarkdown(report);
    expect(text).toContain('| ✓ | A-1 | What A-1 says: e.g.this. | holds |  |');
    expect(text).toContain('### B-1\n\nWhat B-1 says: e.g.this.\n\n````\n1 of 2 checks\nwrong\nexpected <1>');
  });

  it('is JUnit that XML readers take, whatever a server answered', () => {
    const text = asJunit(report);
    expect(text).toContain('<testsuite name="A" tests="3" failures="0" skipped="1">');
    expect(text).toContain('<testcase classname="A" name="A-1 What A-1 says: e.g.this."/>');
    expect(text).toContain('expected &lt;1&gt; &amp; "2"</failure>');
    expect(text).toContain('<skipped message="not checked here: needs --learning URL"/>');
  });

  it('of broken servers fails where one was not caught', () => {
    const [broken] = BROKEN_SERVERS;
    if (!broken) throw new Error('there is no broken server');
    const { groups, summary } = reportCatches([
      {
        kit: SERVER_KIT,
        catches: [
          { broken, verdict: 'caught', why: 'expected 1' },
          { broken, verdict: 'missed', why: 'the check passed' },
          { broken, verdict: 'not tried', why: 'needs --learning URL' },
        ],
      },
      { kit: OWNER_KIT, catches: [] },
    ]);
    expect(groups[0]?.lines.map(({ kind }) => kind)).toEqual(['passed', 'failed', 'skipped']);
    expect(groups[0]?.lines[1]?.why).toContain('the check passed');
    expect(summary).toEqual([
      '3 broken servers: 1 caught, by 1 rules; 1 NOT CAUGHT, 1 not tried here.',
      '0 broken owning services: 0 caught, by 0 rules; 0 NOT CAUGHT, 0 not tried here.',
    ]);
  });
});

describe('checksOf', () => {
  it('has each check of the kit once, and no other test', () => {
    expect(checksOf(SERVER_KIT, RULES, REFERENCES).map(({ title }) => title)).toEqual([
      'one',
      'needy',
      'wrong',
      'lost',
    ]);
  });
});

describe('what is broken on purpose', () => {
  it.each([
    [SERVER_KIT, BROKEN_SERVERS, 20],
    [OWNER_KIT, BROKEN_OWNERS, 8],
  ])('names a rule and a check that is one of this rule', async (kit, all, least) => {
    const text = await readFile(resolve(import.meta.dirname, '../../docs/protocol-tests.md'), 'utf8');
    const references = readRuleTests(text);
    const wrong = all.filter((broken) => {
      const { path, title } = checkOf(kit, broken);
      return !references.get(broken.rule)?.some((test) => test.path === path && test.title === title);
    });
    expect(wrong.map(({ rule: id, check }) => `${id}: ${check}`)).toEqual([]);
    expect(new Set(all.map(({ fault }) => fault)).size).toBe(all.length);
    expect(all.length).toBeGreaterThanOrEqual(least);
  });
});

describe('titles', () => {
  const titles = ['refuses %s', 'refuses more than %i mutations', '$what: $told (x)'];

  it.each([
    ['refuses more than 500 mutations', 'refuses more than %i mutations'],
    ['refuses no token', 'refuses %s'],
    ['one edit: A deletes\nB edits (x)', '$what: $told (x)'],
  ])('%j ran from the one in the source that says most of it', (ran, source) => {
    expect(sourceTitleOf(titles, ran)).toBe(source);
  });

  it('are asked for in vain where no test has them', () => {
    expect(() => sourceTitleOf(titles, 'takes no token')).toThrow('no test in the source');
  });

  it('fit nothing that they only resemble', () => {
    expect(new RegExp(`^${patternOf('a.b (c)')}$`).test('axb (c)')).toBe(false);
  });
});

describe('the command line', () => {
  it('reads URLs, rules and reports', () => {
    const urls = ['--gateway', 'https://sync.example/', '--identity', 'http://127.0.0.1:9'];
    expect(readCommandLine([...urls, '--only', 'PULL,ACK-1', '--report', 'md=a b.md'])).toEqual({
      urls: { gateway: 'https://sync.example', identity: 'http://127.0.0.1:9' },
      owner: null,
      only: ['PULL', 'ACK-1'],
      reports: [{ format: 'md', path: 'a b.md' }],
      ...{ broken: false, short: false, help: false },
    });
    expect(readCommandLine([])).toMatchObject({ urls: null, owner: null, only: [], reports: [] });
  });

  it.each([
    [['--gateway', 'http://a'], 'belong together'],
    [['--learning', 'http://a'], 'belong together'],
    [['--owner', 'a.json', '--broken'], '--owner stands without'],
    [['--gateway', 'a', '--identity', 'http://a'], '--gateway a is not a URL'],
    [['--gateway', 'http://a/b', '--identity', 'http://a'], 'has a path'],
    [['--report', 'html=x'], 'neither md=FILE nor junit=FILE'],
    [['--unknown'], '--unknown'],
  ])('refuses %j', (args, message) => {
    expect(() => readCommandLine(args)).toThrow(message);
  });
});
