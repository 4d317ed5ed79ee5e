import ts from 'typescript';

/** One rule of docs/protocol.md. */
export interface ProtocolRule {
  /** `PULL-3`: a section's prefix and a number. */
  readonly id: string;
  readonly text: string;
  /** In docs/protocol.md, counted from 1. */
  readonly line: number;
}

/** `path › title`, the title as it stands in the source, placeholders of `it.each` included. */
export interface TestReference {
  readonly path: string;
  readonly title: string;
}

/** The rules of a markdown text: paragraphs that begin with a bold id. */
export function readRules(markdown: string): ProtocolRule[] {
  const lines = markdown.split('\n');
  return lines.flatMap((first, index) => {
    const [, id, begin] = /^\*\*([A-Z]+-\d+)\*\* (.*)$/.exec(first) ?? [];
    if (id === undefined || begin === undefined) return [];
    const rest = lines.slice(index + 1);
    const end = rest.indexOf('');
    const text = [begin, ...rest.slice(0, end < 0 ? undefined : end)].join(' ');
    return [{ id, text, line: index + 1 }];
  });
}

/** The tests of each rule, by its id: a heading `## PULL-3` with a list of `path › title`. */
export function readRuleTests(markdown: string): Map<string, TestReference[]> {
  const sections = markdown.split(/^## /m).slice(1);
  return new Map(
    sections.map((section) => {
      const [id = '', ...lines] = section.split('\n');
      return [id.trim(), lines.flatMap(readReference)];
    }),
  );
}

/** What markdown would read as its own is escaped there: `\_`, `\*`. */
function readReference(line: string): TestReference[] {
  if (!line.startsWith('- ')) return [];
  const [path = '', ...title] = line
    .slice(2)
    .trim()
    .replace(/\\([_*])/g, '$1')
    .split(' › ');
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
