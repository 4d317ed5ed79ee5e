/**
 * `npm test`: every test of the workspace. With `--ci` the format, lint and type checks as well, one each;
 * all of them run even when one fails, so that a single run shows everything. The last line is always `N
 * passed, N failed`.
 */
import { resolve } from 'node:path';
import { runAndCollect, runTests } from './run-tests.ts';
import { summaryLine } from './summarize-reports.ts';

const root = resolve(import.meta.dirname, '../..');

/** The longest first. */
const CHECKS: readonly (readonly [string, string, readonly string[]])[] = [
  // One process over everything: by project, the type-checked rules load the same program eighteen times (47
  // s against minutes).
  ['lint', 'eslint', ['.', '--max-warnings', '0']],
  ['types', 'tsc', ['--noEmit', '-p', 'tsconfig.json']],
  ['format', 'prettier', ['--check', '--log-level=warn', '.']],
  ['types of browser code', 'tsc', ['--noEmit', '-p', 'libs/client-sdk/src/storage/indexeddb']],
  ['types of React code', 'tsc', ['--noEmit', '-p', 'libs/client-react']],
];

let [passed, failed] = [0, 0];

/** One after the other until none is left. What each prints is shown when it ends. */
async function checkAll(left: (typeof CHECKS)[number][]): Promise<void> {
  for (let next = left.shift(); next; next = left.shift()) {
    const [name, command, args] = next;
    const { code, output } = await runAndCollect(root, command, args);
    console.log(`${output}${name}: ${code === 0 ? 'passed' : 'FAILED'}`);
    if (code === 0) passed += 1;
    else failed += 1;
  }
}

if (process.argv.includes('--ci')) {
  const left = [...CHECKS];
  // Each keeps one core busy.
  await Promise.all([checkAll(left), checkAll(left)]);
}
const tests = await runTests(root);
passed += tests.passed;
failed += tests.failed;
process.exitCode = failed === 0 ? 0 : 1;
for (const failure of tests.failures) console.log(`FAILED ${failure}\n`);
console.log(summaryLine({ passed, failed }));
