/** Budgets: what does not fit in one view is not understood in one reading. */
import ts from 'typescript';
import { lineOf, sourceRule, walk } from './workspace.ts';
import type { Rule } from './workspace.ts';

export const MAX_FUNCTION_LINES = 70;
export const MAX_SQL_FUNCTION_LINES = 50;
export const MAX_FILE_LINES = 400;
export const MAX_CONSTRUCTOR_DEPENDENCIES = 6;

/**
 * A `describe` callback is a list of tests, not a function with a flow; each test in it is measured by
 * itself.
 */
export const functionLength: Rule = sourceRule('function-length', (_file, ast) =>
  [...walk(ast)]
    .filter((node) => ts.isFunctionLike(node) && !isDescribeCallback(node))
    .flatMap((node) => {
      const lines = ast.getLineAndCharacterOfPosition(node.getEnd()).line + 2 - lineOf(ast, node);
      if (lines <= MAX_FUNCTION_LINES) return [];
      return [
        { line: lineOf(ast, node), message: `${lines} lines; a function has at most ${MAX_FUNCTION_LINES}` },
      ];
    }),
);

function isDescribeCallback(node: ts.Node): boolean {
  const call = node.parent;
  return ts.isCallExpression(call) && call.expression.getText().startsWith('describe');
}

const SQL_FUNCTION = /^CREATE (?:OR REPLACE )?FUNCTION (\w+)[^;]*?\bAS (\$\w*\$)[^]*?\2;?/gm;

/** From `CREATE` to the end of the body: a signature of many parameters has to be read, too. */
export const sqlFunctionLength: Rule = {
  name: 'sql-function-length',
  check: (files) =>
    files
      .filter(({ path }) => path.endsWith('.sql'))
      .flatMap(({ path, text }) =>
        [...text.matchAll(SQL_FUNCTION)].flatMap(({ 0: whole, 1: name, index }) => {
          const lines = whole.split('\n').length;
          if (lines <= MAX_SQL_FUNCTION_LINES) return [];
          const message = `${name} has ${lines} lines; a function in SQL has at most ${MAX_SQL_FUNCTION_LINES}`;
          return [
            { rule: 'sql-function-length', path, line: text.slice(0, index).split('\n').length, message },
          ];
        }),
      ),
};

const MEASURED_ENDINGS = ['.ts', '.tsx', '.mjs', '.js', '.sql', '.css'];

export const fileLength: Rule = {
  name: 'file-length',
  check: (files) =>
    files
      .filter(({ path }) => MEASURED_ENDINGS.some((ending) => path.endsWith(ending)))
      .flatMap(({ path, text }) => {
        const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
        if (lines <= MAX_FILE_LINES) return [];
        return [
          {
            rule: 'file-length',
            path,
            line: 1,
            message: `${lines} lines; a file has at most ${MAX_FILE_LINES}`,
          },
        ];
      }),
};

/**
 * Parameters of a constructor, where one options object counts as many as it has members that are not plain
 * values: moving nine collaborators into an object does not make them fewer. Optional members are left out:
 * it works without them.
 */
export const constructorDependencies: Rule = sourceRule('constructor-dependencies', (_file, ast) =>
  [...walk(ast)].filter(ts.isConstructorDeclaration).flatMap((node) => {
    const count = node.parameters.reduce((sum, parameter) => sum + dependenciesOf(ast, parameter), 0);
    if (count <= MAX_CONSTRUCTOR_DEPENDENCIES) return [];
    const message = `${count} dependencies; a constructor has at most ${MAX_CONSTRUCTOR_DEPENDENCIES}`;
    return [{ line: lineOf(ast, node), message }];
  }),
);

function dependenciesOf(ast: ts.SourceFile, parameter: ts.ParameterDeclaration): number {
  const members = membersOf(ast, parameter.type);
  // An interface with methods is one collaborator, described beside its user.
  if (members === null || members.some(ts.isMethodSignature)) return 1;
  return members.filter(
    (member) => ts.isPropertySignature(member) && !member.questionToken && !isPlainValue(member.type),
  ).length;
}

/**
 * Members of an inline object type, or of an interface or type alias of the same file; null for anything
 * else.
 */
function membersOf(ast: ts.SourceFile, type: ts.TypeNode | undefined): readonly ts.TypeElement[] | null {
  if (type === undefined) return null;
  if (ts.isTypeLiteralNode(type)) return type.members;
  if (!ts.isTypeReferenceNode(type)) return null;
  const name = type.typeName.getText(ast);
  for (const statement of ast.statements) {
    if (ts.isInterfaceDeclaration(statement) && statement.name.text === name) return statement.members;
    if (ts.isTypeAliasDeclaration(statement) && statement.name.text === name)
      return membersOf(ast, statement.type);
  }
  return null;
}

const PLAIN_KINDS = new Set([
  ts.SyntaxKind.StringKeyword,
  ts.SyntaxKind.NumberKeyword,
  ts.SyntaxKind.BooleanKeyword,
  ts.SyntaxKind.LiteralType,
  ts.SyntaxKind.UndefinedKeyword,
]);

function isPlainValue(type: ts.TypeNode | undefined): boolean {
  if (type === undefined) return false;
  if (ts.isUnionTypeNode(type)) return type.types.every(isPlainValue);
  if (ts.isArrayTypeNode(type)) return isPlainValue(type.elementType);
  if (ts.isTypeOperatorNode(type)) return isPlainValue(type.type);
  return PLAIN_KINDS.has(type.kind);
}
