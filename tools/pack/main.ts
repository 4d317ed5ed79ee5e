/**
 * `npm run pack -- --to FOLDER`: makes installable files of the packages for devices and owning services, and
 * of what they need, for `npm install FOLDER/*.tgz` in any other folder. Prints the path of each.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { packPackages } from './pack-packages.ts';

const { values } = parseArgs({ options: { to: { type: 'string' } } });
if (values.to === undefined) {
  console.error('usage: npm run pack -- --to FOLDER');
  process.exitCode = 2;
} else {
  // npm runs scripts in the root; a relative path is meant as seen from where the person stands.
  const to = resolve(process.env['INIT_CWD'] ?? '.', values.to);
  for (const { path } of await packPackages(resolve(import.meta.dirname, '../..'), to)) console.log(path);
}
