/**
 * `npm run fuzz [-- --cases N] [--requests N] [--seed S]`, one after the other:
 *
 * 1. Hostile Yjs updates against the admission of `@sync/documents`. Every one must be refused with a code or
 *    be harmless; the first that does harm ends the run with its bytes.
 * 2. Hostile requests against the whole platform (`e2e/conformance/src/hostile`).
 *
 * Prints the seed, so that a run can be repeated.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { attackDocument } from '@sync/documents/testing';
import { run } from '../test/run-tests.ts';

const { values: options } = parseArgs({
  options: {
    cases: { type: 'string', default: '1000000' },
    requests: { type: 'string', default: '100000' },
    seed: { type: 'string' },
  },
});
const cases = Number(options.cases);
const firstSeed = Number(options.seed ?? Date.now() % 2 ** 31);
const CASES_PER_ROUND = 50_000;

const totals = new Map<string, Map<string, number>>();
let done = 0;
for (let round = 0; done < cases; round += 1) {
  const count = Math.min(CASES_PER_ROUND, cases - done);
  const report = attackDocument(count, firstSeed + round);
  done += count;
  for (const [kind, counts] of Object.entries(report)) {
    const sums = totals.get(kind) ?? new Map<string, number>();
    totals.set(kind, sums);
    for (const [outcome, many] of Object.entries(counts)) sums.set(outcome, (sums.get(outcome) ?? 0) + many);
  }
  process.stdout.write(`seed ${firstSeed}: ${done} of ${cases} cases, no harm\n`);
}
for (const [kind, sums] of [...totals].sort(([a], [b]) => a.localeCompare(b))) {
  const line = [...sums].sort(([, a], [, b]) => b - a).map(([outcome, many]) => `${outcome} ${many}`);
  process.stdout.write(`${kind.padEnd(18)} ${line.join(', ')}\n`);
}
const attack = [
  'e2e/conformance/src/hostile/main.ts',
  '--requests',
  options.requests,
  '--seed',
  String(firstSeed),
];
process.exitCode = await run(resolve(import.meta.dirname, '../..'), process.execPath, [
  '--conditions=source',
  '--no-warnings=ExperimentalWarning',
  ...attack,
]);
