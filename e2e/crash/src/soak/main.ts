/**
 * `npm run soak -- [--minutes 10] [--seed 1] [--users 3]`: random work of devices on the SDK, while one
 * process of the platform after the other is killed; checks custody at the end.
 */
import { parseArgs } from 'node:util';
import { startStackProcess } from '@sync/e2e-device';
import { playSoak } from './play-soak.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    users: { type: 'string', default: '3' },
  },
});
const [minutes = 0, seed = 0, users = 0] = [values.minutes, values.seed, values.users].map(Number);
if (!(minutes > 0) || !Number.isSafeInteger(seed) || !Number.isSafeInteger(users) || users < 1) {
  throw new RangeError('--minutes is above 0, --seed and --users are whole numbers');
}
process.env['FAULT_INJECTION'] = 'true';
process.env['PUSH_TAKEOVER_MS'] = '2000';
const stack = await startStackProcess();
try {
  const done = await playSoak({ urls: stack.line, durationMs: minutes * 60_000, seed, users });
  process.stdout.write(`${JSON.stringify(done)}\n`);
  process.stdout.write(`${minutes} minutes of seed ${seed}: nothing lost, nothing applied twice\n`);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
} finally {
  await stack.stop();
}
