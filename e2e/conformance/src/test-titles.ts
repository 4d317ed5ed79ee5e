import ts from 'typescript';

/** Titles of all tests in a test file, as written: `it('title')`, `it.each(table)('title %s')`. */
export function titlesIn(source: string): string[] {
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

/** What stands in a title for a value of the table: `%s`, `%i`, `$name`. */
const PLACEHOLDER = /%[sdifjop]|\$\w+/g;

/** The titles that a title of the source may have when it runs, as a regular expression without ends. */
export function patternOf(title: string): string {
  const parts = title.split(PLACEHOLDER).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return parts.join('[^]*');
}

/**
 * The title in the source of a test that ran. Where several fit, the one that says most: `refuses %s` also
 * fits what `refuses more than %i mutations` ran as.
 * @throws Error when none fits
 */
export function sourceTitleOf(titles: readonly string[], ran: string): string {
  const fitting = titles.filter((title) => new RegExp(`^${patternOf(title)}$`).test(ran));
  const lengthOf = (title: string): number => title.replace(PLACEHOLDER, '').length;
  const [best] = fitting.sort((one, other) => lengthOf(other) - lengthOf(one));
  if (best === undefined) throw new Error(`no test in the source is called “${ran}”`);
  return best;
}
