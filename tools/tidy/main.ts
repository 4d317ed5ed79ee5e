/**
 * `node tools/tidy/main.ts [folder…]`: prints what breaks a rule of the house; exit code 1 when something
 * does.
 */
import { resolve } from 'node:path';
import { checkProject } from './check-project.ts';
import { readProject } from './workspace.ts';

const asked = process.argv.slice(2).map((folder) => folder.replace(/\/*$/, '/'));
const files = await readProject(resolve(import.meta.dirname, '../..'));
const violations = checkProject(files).filter(
  ({ path }) => asked.length === 0 || asked.some((folder) => path.startsWith(folder)),
);
for (const { path, line, rule, message } of violations) console.log(`${path}:${line}  ${rule}: ${message}`);
console.log(
  violations.length === 0 ? `tidy: ${files.length} files` : `tidy: ${violations.length} violations`,
);
process.exitCode = violations.length === 0 ? 0 : 1;
