import ts from 'typescript';
import { isTestCode, lineOf, lineRule, sourceRule, walk } from './workspace.ts';
import type { Rule } from './workspace.ts';

/** Names that say nothing about what is inside, so that everything ends up there. */
const EMPTY_NAMES = new Set([
  'util',
  'utils',
  'common',
  'helper',
  'helpers',
  'manager',
  'managers',
  'misc',
  'shared',
]);

export const namesThatSay: Rule = {
  name: 'names-that-say',
  check: (files) =>
    files.flatMap(({ path }) => {
      const word = path.split(/[/.-]/).find((part) => EMPTY_NAMES.has(part.toLowerCase()));
      if (word === undefined) return [];
      return [{ rule: 'names-that-say', path, line: 1, message: `"${word}" does not say what is inside` }];
    }),
};

export const noBarrelInApps: Rule = sourceRule('no-barrel-in-apps', (file, ast) => {
  if (!file.path.startsWith('apps/')) return [];
  const onlyExports = ast.statements.length > 0 && ast.statements.every(isReExport);
  if (!onlyExports && !file.path.endsWith('/index.ts')) return [];
  return [{ line: 1, message: 'an app imports from the file that holds the thing, not through a barrel' }];
});

function isReExport(statement: ts.Statement): boolean {
  return ts.isExportDeclaration(statement) && statement.moduleSpecifier !== undefined;
}

/** Configuration is parsed once, at the edge; everything else gets it typed, as an argument. */
export const oneReaderOfTheEnvironment: Rule = sourceRule('one-reader-of-the-environment', (file, ast) => {
  if (/(^|\/)(config|main)\.ts$|^tools\//.test(file.path) || isTestCode(file.path)) return [];
  return [...walk(ast)].filter(readsEnvironment).map((node) => ({
    line: lineOf(ast, node),
    message: 'only config.ts, main.ts, tools and tests read the environment',
  }));
});

function readsEnvironment(node: ts.Node): boolean {
  if (ts.isPropertyAccessExpression(node)) return isProcess(node.expression) && node.name.text === 'env';
  if (ts.isElementAccessExpression(node)) {
    return isProcess(node.expression) && node.argumentExpression.getText().slice(1, -1) === 'env';
  }
  if (ts.isImportSpecifier(node)) {
    const source = node.parent.parent.parent.moduleSpecifier.getText().slice(1, -1);
    return (node.propertyName ?? node.name).text === 'env' && /^(node:)?process$/.test(source);
  }
  if (!ts.isVariableDeclaration(node) || !node.initializer || !isProcess(node.initializer)) return false;
  return ts.isObjectBindingPattern(node.name) && node.name.getText().includes('env');
}

function isProcess(node: ts.Node): boolean {
  return /^(globalThis\.)?process$/.test(node.getText());
}

const SUBJECT = /\b(sync|identity|analytics)\.[a-z-]+\.v\d+(\.|$)|\banalytics\.sync\./;
/**
 * `sync.mutation.applied.v1` is the type of an event, not a subject: its version stands last, behind three
 * words.
 */
const EVENT_TYPE = /^sync\.[a-z-]+\.[a-z-]+\.v\d+$/;

export const noSubjectLiteral: Rule = sourceRule('no-subject-literal', (file, ast) => {
  // A test may spell out the subject that it expects on the wire.
  if (file.path.startsWith('libs/protocol/') || isTestCode(file.path)) return [];
  return [...walk(ast)].flatMap((node) => {
    const isText = ts.isStringLiteralLike(node) || ts.isTemplateHead(node);
    if (!isText || !SUBJECT.test(node.text) || EVENT_TYPE.test(node.text)) return [];
    return [{ line: lineOf(ast, node), message: `build "${node.text}" with \`subjects\` of @sync/protocol` }];
  });
});

// In two parts, so that this file does not report itself.
const LATER = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', 'HA' + 'CK'].join('|')})\\b`);
const SWITCHED_OFF = new RegExp(
  ['eslint-' + 'disable', '@ts-' + 'ignore', '@ts-' + 'nocheck', '\\bas ' + 'any\\b'].join('|'),
);

export const nothingForLater: Rule = lineRule('nothing-for-later', (_path, line) =>
  LATER.test(line) ? 'do it, or open an issue: the code describes what is' : null,
);

export const noCheckSwitchedOff: Rule = lineRule('no-check-switched-off', (path, line) =>
  /\.(tsx?|mjs|js)$/.test(path) && SWITCHED_OFF.test(line) ? 'a check is switched off here' : null,
);
