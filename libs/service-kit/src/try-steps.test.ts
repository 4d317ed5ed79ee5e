import { expect, it } from '@jest/globals';
import { type Logger, pino } from 'pino';
import { trySteps } from './try-steps.ts';

it('does every step of a drain in its order, also after one that throws, rejects, or never ends', async () => {
  const done: string[] = [];
  const logged: { event?: string; step?: number }[] = [];
  const logger: Logger = pino({}, { write: (line: string) => void logged.push(JSON.parse(line) as object) });
  const steps = [
    () => void done.push('first'),
    () => {
      throw new Error('thrown');
    },
    () => Promise.reject(new Error('Postgres is away')),
    async () => {
      await Promise.resolve();
      done.push('second');
    },
    () => new Promise<void>(() => undefined),
    () => void done.push('last'),
  ];
  await trySteps(steps, performance.now() + 1_000, logger);
  expect(done).toEqual(['first', 'second', 'last']);
  expect(logged.map(({ event, step }) => [event, step])).toEqual([
    ['drain_step_failed', 1],
    ['drain_step_failed', 2],
    ['drain_step_failed', 4],
  ]);
});
