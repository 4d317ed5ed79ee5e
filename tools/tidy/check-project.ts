import { EXCEPTIONS } from './exceptions.ts';
import type { Exception } from './exceptions.ts';
import { noDeadFile } from './dead-files.ts';
import { documentLineLength, tableCellLength } from './document-rules.ts';
import { logKeysOnce } from './log-rules.ts';
import { constructorDependencies, fileLength, functionLength, sqlFunctionLength } from './size-rules.ts';
import { assertionPerTest, testsInTestFile } from './test-rules.ts';
import {
  namesThatSay,
  noBarrelInApps,
  noCheckSwitchedOff,
  noSubjectLiteral,
  nothingForLater,
  oneReaderOfTheEnvironment,
} from './text-rules.ts';
import type { ProjectFile, Rule, Violation } from './workspace.ts';

export const RULES: readonly Rule[] = [
  functionLength,
  sqlFunctionLength,
  fileLength,
  constructorDependencies,
  documentLineLength,
  tableCellLength,
  assertionPerTest,
  testsInTestFile,
  noDeadFile,
  namesThatSay,
  noBarrelInApps,
  oneReaderOfTheEnvironment,
  noSubjectLiteral,
  logKeysOnce,
  nothingForLater,
  noCheckSwitchedOff,
];

/**
 * Runs every rule over the files.
 * @param exceptions what is excused; an entry that matches no violation is reported as `unused-exception`
 * @returns what remains, in order of path and line
 */
export function checkProject(
  files: readonly ProjectFile[],
  exceptions: readonly Exception[] = EXCEPTIONS,
): Violation[] {
  const all = RULES.flatMap((rule) => rule.check(files));
  const matches = (exception: Exception, found: Violation): boolean =>
    exception.rule === found.rule && exception.path === found.path;
  const unused = exceptions
    .filter((exception) => !all.some((found) => matches(exception, found)))
    .map(({ rule, path }) => ({
      rule: 'unused-exception',
      path,
      line: 1,
      message: `nothing breaks ${rule} here`,
    }));
  return [
    ...all.filter((found) => !exceptions.some((exception) => matches(exception, found))),
    ...unused,
  ].sort((a, b) => a.path.localeCompare(b.path) || a.line - b.line);
}
