/** Plays the scenarios of seeds S, S + 1, … on a platform of its own: `npm run custody` calls it. */
import { parseArgs } from 'node:util';
import { startStackProcess } from '@sync/e2e-device';
import { runSeries } from './run-series.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
    sideBySide: { type: 'string', default: '3' },
  },
});
const [runs, seed, sideBySide] = [values.runs, values.seed, values.sideBySide].map(Number);
if (!runs || seed === undefined || !sideBySide || ![runs, seed, sideBySide].every(Number.isSafeInteger)) {
  throw new RangeError('--runs, --seed and --sideBySide are whole numbers, and there is at least one run');
}
const stack = await startStackProcess();
try {
  const seeds = Array.from({ length: runs }, (_, place) => seed + place);
  const results = await runSeries(
    stack.line,
    seeds,
    sideBySide,
    ({ violations, statuses, report, ...run }) => {
      const counts = [...statuses].map(([status, count]) => `${count} ${status}`).join(', ');
      process.stdout.write(violations.length > 0 ? `${report}\n` : `seed ${run.seed}: ${counts}\n`);
    },
  );
  const broken = results.filter(({ violations }) => violations.length > 0);
  process.stdout.write(`${results.length} runs, ${broken.length} with a broken promise\n`);
  for (const run of broken) process.stdout.write(`seed ${run.seed}: ${run.violations.join('\n  ')}\n`);
  if (broken.length > 0) process.exitCode = 1;
} finally {
  await stack.stop();
}
