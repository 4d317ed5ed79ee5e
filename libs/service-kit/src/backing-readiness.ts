import type { Database } from '@sync/postgres';
import type { ReadinessCheck } from './operations.ts';

/** Ready is whoever reaches the database and NATS. */
export function backingReadiness(
  database: Pick<Database, 'call'>,
  nats: { flush(): Promise<void> },
): readonly ReadinessCheck[] {
  return [
    {
      name: 'postgres',
      check: async () => {
        await database.call('ready', 'SELECT 1', []);
      },
    },
    { name: 'nats', check: () => nats.flush() },
  ];
}
