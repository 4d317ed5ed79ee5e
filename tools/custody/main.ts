/**
 * `npm run custody [-- --runs N] [--seed S]`: random runs of two devices against the write side of the gateway, seeds S, S + 1 and so on. A run that breaks
 * a promise says which, and the steps that led there. It is the test `push/custody.nats.test.ts` of the gateway with other seeds: Jest, because the
 * gateway's decorated classes do not run from sources without a transform.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { run } from '../test/run-tests.ts';

const { values } = parseArgs({
  options: { runs: { type: 'string', default: '100' }, seed: { type: 'string' } },
});
const runs = Number(values.runs);
const seed = Number(values.seed ?? Date.now() % 2 ** 31);
if (!Number.isSafeInteger(runs) || runs < 1 || !Number.isSafeInteger(seed)) {
  throw new RangeError('--runs and --seed are whole numbers, and there is at least one run');
}
process.stdout.write(`${runs} runs from seed ${seed}; a run takes about four seconds\n`);
process.env['CUSTODY_RUNS'] = String(runs);
process.env['CUSTODY_SEED'] = String(seed);
const jest = [
  '--experimental-vm-modules',
  '--no-warnings=ExperimentalWarning',
  'node_modules/jest/bin/jest.js',
];
const options = ['-c', 'apps/sync-gateway/jest.config.mjs', '--coverage=false', '--verbose'];
process.exitCode = await run(resolve(import.meta.dirname, '../..'), 'node', [
  ...jest,
  ...options,
  'push/custody.nats',
]);
