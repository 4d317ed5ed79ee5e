/**
 * `npm run crash -- [--runs 200] [--seed 1] [--only N]`: starts the platform, kills it at named places,
 * checks custody.
 */
import { parseArgs } from 'node:util';
import { startStackProcess } from '@sync/e2e-device';
import { runCrashes } from './run-crashes.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
  },
});
const [runs, seed, only] = [values.runs, values.seed, values.only].map((text) =>
  text === undefined ? undefined : Number(text),
);
if (runs === undefined || seed === undefined || ![runs, seed, only ?? 0].every(Number.isSafeInteger)) {
  throw new RangeError('--runs, --seed and --only are whole numbers');
}
process.env['FAULT_INJECTION'] = 'true';
// What a killed gateway left behind is taken over sooner, so that a run takes five seconds and not thirteen.
process.env['PUSH_TAKEOVER_MS'] = '2000';
const stack = await startStackProcess();
try {
  const done = await runCrashes({
    ...{ urls: stack.line, runs, seed },
    ...(only === undefined ? {} : { only }),
    out: (line) => process.stdout.write(`${line}\n`),
  });
  const killed = done.filter((run) => run.killed).length;
  process.stdout.write(
    `${done.length} runs of seed ${seed}, ${killed} kills: nothing acknowledged lost, nothing applied twice\n`,
  );
} catch (error) {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
} finally {
  await stack.stop();
}
