import ts from 'typescript';

/** One row of a table in docs/protocol.md. */
export interface ProtocolRule {
  /** `PULL-3`: a section's prefix and a number. */
  readonly id: string;
  readonly text: string;
  readonly tests: readonly TestReference[];
  /** In docs/protocol.md, counted from 1. */
  readonly line: number;
}

/** `path › title`, the title as it stands in the source, placeholders of `it.each` included. */
export interface TestReference {
  readonly path: string;
  readonly title: string;
}

const ROW = /^\|\s*([A-Z]+-\d+)\s*\|((?:[^|\\]|\\.)*)\|((?:[^|\\]|\\.)*)\|\s*$/;

/** The rules of a markdown text: rows of three cells whose first is an id; the last holds references separated by `<br>`. */
export function readRules(markdown: string): ProtocolRule[] {
  return markdown.split('\n').flatMap((text, index) => {
    const [, id, rule, tests] = ROW.exec(text) ?? [];
    if (id === undefined || rule === undefined || tests === undefined) return [];
    return [{ id, text: rule.trim(), tests: tests.split('<br>').flatMap(readReference), line: index + 1 }];
  });
}

/** What markdown would read as its own is escaped there: `\|`, `\_`, `\*`. */
function readReference(cell: string): TestReference[] {
  const [path, ...title] = cell
    .trim()
    .replace(/\\([|_*])/g, '$1')
    .split(' › ');
  if (path === undefined || path === '') return [];
  return [{ path: path.replaceAll('`', ''), title: title.join(' › ') }];
}

/** Titles of all tests in a test file, as written: `it('title')`, `it.each(table)('title %s')`. */
export function readTestTitles(source: string): string[] {
  const file = ts.createSourceFile('x.test.ts', source, ts.ScriptTarget.ESNext, true);
  const titles: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && isTestCallee(node.expression)) {
      const title = node.arguments[0];
      if (title !== undefined && ts.isStringLiteralLike(title)) titles.push(title.text);
    }
    node.forEachChild(visit);
  };
  visit(file);
  return titles;
}

function isTestCallee(callee: ts.Expression): boolean {
  if (ts.isIdentifier(callee)) return callee.text === 'it' || callee.text === 'test';
  if (!ts.isCallExpression(callee) || !ts.isPropertyAccessExpression(callee.expression)) return false;
  return callee.expression.name.text === 'each' && isTestCallee(callee.expression.expression);
}
