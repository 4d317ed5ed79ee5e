/**
 * `npm test`: every test of the workspace. With `--ci` the format, lint and type checks as well, one each;
 * all of them run even when one fails, so that a single run shows everything. The last line is always `N
 * passed, N failed`.
 */
import { resolve } from 'node:path';
import { run, runTests } from './run-tests.ts';
import { summaryLine } from './summarize-reports.ts';

const root = resolve(import.meta.dirname, '../..');

const CHECKS: readonly (readonly [string, string, readonly string[]])[] = [
  ['format', 'prettier', ['--check', '--log-level=warn', '.']],
  // One process over everything: by project, the type-checked rules load the same program eighteen times (47
  // s against minutes).
  ['lint', 'eslint', ['.', '--max-warnings', '0']],
  ['types', 'tsc', ['--noEmit', '-p', 'tsconfig.json']],
  ['types of browser code', 'tsc', ['--noEmit', '-p', 'libs/client-sdk/src/storage/indexeddb']],
  ['types of React code', 'tsc', ['--noEmit', '-p', 'libs/client-react']],
];

let [passed, failed] = [0, 0];
if (process.argv.includes('--ci')) {
  for (const [name, command, args] of CHECKS) {
    const code = await run(root, command, args);
    console.log(`${name}: ${code === 0 ? 'passed' : 'FAILED'}`);
    if (code === 0) passed += 1;
    else failed += 1;
  }
}
const tests = await runTests(root);
passed += tests.passed;
failed += tests.failed;
process.exitCode = failed === 0 ? 0 : 1;
for (const failure of tests.failures) console.log(`FAILED ${failure}\n`);
console.log(summaryLine({ passed, failed }));
