/**
 * `npm run packages`: licences and known vulnerabilities of everything that is installed.
 *
 * | exit code | meaning                                                        |
 * | --------- | -------------------------------------------------------------- |
 * | 0         | every licence is accepted, and no vulnerability is known       |
 * | 1         | a licence is not accepted, or a vulnerability is known         |
 * | 2         | licences are accepted, but nobody could be asked for the rest  |
 */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type LockFile, refusedLicences } from './licences.ts';
import { findVulnerabilities } from './vulnerabilities.ts';

const root = resolve(import.meta.dirname, '../..');
const lock = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as LockFile;
const refused = refusedLicences(lock);
for (const { path, licence } of refused) console.log(`licence not accepted: ${licence} of ${path}`);
console.log(`licences: ${Object.keys(lock.packages).length} packages, ${refused.length} not accepted`);

const answer = await findVulnerabilities(root);
if (answer.kind === 'unreachable') {
  console.log(`vulnerabilities: NOT CHECKED, the registry could not be asked: ${answer.why}`);
} else {
  for (const { name, severity, range } of answer.vulnerabilities)
    console.log(`${severity}: ${name} ${range}`);
  console.log(`vulnerabilities: ${answer.vulnerabilities.length} known`);
}
const isBad = refused.length > 0 || (answer.kind === 'answered' && answer.vulnerabilities.length > 0);
process.exitCode = isBad ? 1 : answer.kind === 'unreachable' ? 2 : 0;
