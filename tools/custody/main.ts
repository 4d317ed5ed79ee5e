/**
 * `npm run custody [-- --runs N] [--seed S]`: random runs that look for lost work, seeds S, S + 1 and so on.
 * A run that breaks a promise says which, and the steps that led there. Two series, one after the other:
 *
 * 1. The write side of the gateway with an owner in memory that fails on purpose (`push/custody.nats.test.ts`
 *    with other seeds: Jest, because the gateway's decorated classes do not run from sources without a
 *    transform).
 * 2. The whole platform over HTTP (`e2e/custody`): every policy, documents, deletions, restored devices,
 *    shared tablets, withdrawn courses.
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
const root = resolve(import.meta.dirname, '../..');
process.env['CUSTODY_RUNS'] = String(runs);
process.env['CUSTODY_SEED'] = String(seed);
process.stdout.write(`The gateway: ${runs} runs from seed ${seed}; a run takes about four seconds\n`);
const jest = [
  '--experimental-vm-modules',
  '--no-warnings=ExperimentalWarning',
  'node_modules/jest/bin/jest.js',
];
const options = ['-c', 'apps/sync-gateway/jest.config.mjs', '--coverage=false', '--verbose'];
const gateway = await run(root, 'node', [...jest, ...options, 'push/custody.nats']);
process.stdout.write(`The whole platform: ${runs} runs from seed ${seed}; a run takes about ten seconds\n`);
const series = ['e2e/custody/src/main.ts', '--runs', String(runs), '--seed', String(seed)];
const platform = await run(root, 'node', [
  '--conditions=source',
  '--no-warnings=ExperimentalWarning',
  ...series,
]);
process.exitCode = gateway || platform;
