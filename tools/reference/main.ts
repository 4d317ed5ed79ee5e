/**
 * `npm run reference -- --to FOLDER`: the reference of all packages for others, from their docstrings.
 * Exit code 1 when something that is exported has none, or a link leads nowhere.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { writeReference } from './write-reference.ts';

const root = resolve(import.meta.dirname, '../..');
const { values } = parseArgs({ options: { to: { type: 'string', default: 'reports/reference' } } });
const to = resolve(root, values.to);
const findings = await writeReference(root, to);
for (const finding of findings) console.log(finding);
console.log(`${to}/index.html`);
process.exitCode = findings.length === 0 ? 0 : 1;
