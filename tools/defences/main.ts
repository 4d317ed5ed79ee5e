/**
 * `npm run defences [-- --only TEXT]`: takes each defence of SECURITY.md away, in a copy of the working tree,
 * and shows that its test goes red. Ends with 1 when no test notices, when a test is red without that, or
 * when a defence does not stand any more where it is looked for.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { DEFENCES } from './defences.ts';
import { copyWorkspace, runTest, runWithout, type Verdict } from './mutant.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const { values } = parseArgs({ options: { only: { type: 'string', default: '' } } });
const chosen = DEFENCES.filter(({ against, file, test }) =>
  [against, file, test].some((text) => text.includes(values.only)),
);
const copy = await mkdtemp(join(tmpdir(), 'sync-defences-'));
let noticed = 0;
try {
  await copyWorkspace(ROOT, copy);
  const intact = new Map<string, Verdict>();
  console.log('intact  without  defence against');
  for (const defence of chosen) {
    const before = intact.get(defence.test) ?? (await runTest(copy, defence.test));
    intact.set(defence.test, before);
    const after = before === 'green' ? await runWithout(copy, defence) : 'broken';
    if (after === 'red') noticed += 1;
    const isNoticed = after === 'red' ? '' : `   NOT SHOWN: ${defence.file}`;
    console.log(`${before.padEnd(6)}  ${after.padEnd(7)}  ${defence.against} (${defence.test})${isNoticed}`);
  }
} finally {
  await rm(copy, { recursive: true, force: true });
}
console.log(`${noticed} of ${chosen.length} defences: their tests went red without them`);
process.exitCode = chosen.length > 0 && noticed === chosen.length ? 0 : 1;
