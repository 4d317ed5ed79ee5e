import ts from 'typescript';
import { isTestCode, lineOf, sourceRule, walk } from './workspace.ts';
import type { Rule } from './workspace.ts';

/**
 * What the logger writes itself (`createLogger`): JSON with a key twice means something else to every reader.
 */
const TAKEN = new Set(['service', 'level', 'time', 'msg']);
const LEVELS = new Set(['trace', 'debug', 'info', 'warn', 'error', 'fatal']);

export const logKeysOnce: Rule = sourceRule('log-keys-once', (file, ast) => {
  if (isTestCode(file.path)) return [];
  const nodes = [...walk(ast)];
  const calls = nodes.filter(ts.isCallExpression).filter(isLogging);
  return calls.flatMap((call) =>
    keysOf(call.arguments[0], nodes)
      .filter((key) => TAKEN.has(key))
      .map((key) => ({ line: lineOf(ast, call), message: `every log line has a "${key}" already` })),
  );
});

function isLogging({ expression }: ts.CallExpression): boolean {
  if (!ts.isPropertyAccessExpression(expression) || !LEVELS.has(expression.name.text)) return false;
  return /logger$/i.test(expression.expression.getText());
}

/** Keys of an object as it is written, also in a variable of the file or spread from one. */
function keysOf(fields: ts.Node | undefined, nodes: readonly ts.Node[]): string[] {
  if (fields === undefined) return [];
  if (ts.isIdentifier(fields)) {
    return nodes.flatMap((node) => {
      const isIt = ts.isVariableDeclaration(node) && node.name.getText() === fields.text;
      return isIt && node.initializer && !ts.isIdentifier(node.initializer)
        ? keysOf(node.initializer, nodes)
        : [];
    });
  }
  if (!ts.isObjectLiteralExpression(fields)) return [];
  return fields.properties.flatMap((property) =>
    ts.isSpreadAssignment(property) ? keysOf(property.expression, nodes) : [property.name.getText()],
  );
}
