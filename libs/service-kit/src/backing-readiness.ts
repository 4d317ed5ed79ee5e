import type { Database } from '@sync/postgres';
import type { ReadinessCheck } from './operations.ts';

/** Ready is whoever reaches the database and NATS. */
export function backingReadiness(
  database: Database,
  nats: { flush(): Promise<void> },
): readonly ReadinessCheck[] {
  // Asked every second or so: checks that get no answer must not take the pool from those who work.
  const limited = database.withLimits({ connectMs: 1_000, answerMs: 1_000 });
  return [
    {
      name: 'postgres',
      check: async () => {
        await limited.call('ready', 'SELECT 1', []);
      },
    },
    { name: 'nats', check: () => nats.flush() },
  ];
}
