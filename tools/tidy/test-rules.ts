import ts from 'typescript';
import { lineOf, sourceRule, walk } from './workspace.ts';
import type { Rule } from './workspace.ts';

const TEST_FUNCTION = /^(it|test)(\.each|\.concurrent)?$/;
const ASSERTION = /^(expect|assert)/;

/**
 * Every test asserts: it calls `expect…` or `assert…` (also `fc.assert`) itself or through a function of its
 * own file. A test that merely does not throw says nothing about why it passed. `expect.assertions(n)` alone
 * is no assertion.
 */
export const assertionPerTest: Rule = sourceRule('assertion-per-test', (file, ast) => {
  if (!file.path.endsWith('.test.ts')) return [];
  const asserting = assertingFunctions(ast);
  return [...walk(ast)].filter(isTestCall).flatMap((call) => {
    const body = call.arguments[1];
    if (body !== undefined && asserts(body, asserting)) return [];
    return [
      {
        line: lineOf(ast, call),
        message: `${call.arguments[0]?.getText(ast) ?? 'this test'} asserts nothing`,
      },
    ];
  });
});

export const testsInTestFile: Rule = sourceRule('tests-in-test-file', (file, ast) => {
  if (!file.path.endsWith('.test.ts') || [...walk(ast)].some(isTestCall)) return [];
  return [{ line: 1, message: 'a test file without a test' }];
});

/** `it(…)`, `test(…)` and `it.each(table)(…)`. */
function isTestCall(node: ts.Node): node is ts.CallExpression {
  if (!ts.isCallExpression(node)) return false;
  const callee = ts.isCallExpression(node.expression) ? node.expression.expression : node.expression;
  const isTable = callee.getText().endsWith('.each');
  return TEST_FUNCTION.test(callee.getText()) && isTable === ts.isCallExpression(node.expression);
}

function asserts(node: ts.Node, asserting: ReadonlySet<string>): boolean {
  if (ts.isIdentifier(node)) return asserting.has(node.text);
  return [...walk(node)].some((inner) => {
    if (!ts.isCallExpression(inner)) return false;
    const name = calledName(inner.expression);
    return (ASSERTION.test(name) && name !== 'assertions') || asserting.has(name);
  });
}

/** `expect` for `expect(x).toBe(y)`, `assert` for `fc.assert(…)`, `f` for `f()`. */
function calledName(callee: ts.Expression): string {
  if (ts.isIdentifier(callee)) return callee.text;
  return ts.isPropertyAccessExpression(callee) ? callee.name.text : '';
}

/** Names of this file's functions that assert, directly or through one another. */
function assertingFunctions(ast: ts.SourceFile): ReadonlySet<string> {
  const bodies = new Map<string, ts.Node>();
  for (const node of walk(ast)) {
    if (ts.isFunctionDeclaration(node) && node.name && node.body) bodies.set(node.name.text, node.body);
    if (ts.isVariableDeclaration(node) && ts.isIdentifier(node.name) && node.initializer) {
      if (ts.isArrowFunction(node.initializer)) bodies.set(node.name.text, node.initializer.body);
    }
  }
  const asserting = new Set<string>();
  let before = -1;
  while (asserting.size > before) {
    before = asserting.size;
    for (const [name, body] of bodies) if (asserts(body, asserting)) asserting.add(name);
  }
  return asserting;
}
