/**
 * The second part of `npm run fuzz`: hostile requests against the whole platform, and what it must not show,
 * fail with or grow by. Prints the seed, so that a run can be repeated.
 */
import { parseArgs } from 'node:util';
import { startStackProcess } from '@sync/e2e-device';
import { attackPlatform } from './attack-platform.ts';

const { values: options } = parseArgs({
  options: { requests: { type: 'string', default: '100000' }, seed: { type: 'string' } },
});
const seed = Number(options.seed ?? Date.now() % 2 ** 31);
process.stdout.write(`seed ${seed}: ${options.requests} hostile requests\n`);
const stack = await startStackProcess();
process.env['STACK_JSON'] = JSON.stringify(stack.line);
try {
  const { statuses, codes, closed, growthBytes } = await attackPlatform(Number(options.requests), seed);
  const counts = [...statuses].sort(([a], [b]) => a - b).map(([status, many]) => `${status}: ${many}`);
  process.stdout.write(`${counts.join(', ')}, closed: ${closed}\n${[...codes].sort().join(' ')}\n`);
  process.stdout.write(
    `the gateway's memory grew by ${Math.round(growthBytes / 1024 / 1024)} MiB; no harm\n`,
  );
} finally {
  await stack.stop();
}
