import type { Database } from '@sync/postgres';
import type { Metrics } from '@sync/service-kit';
import type { DetectedConflict } from './conflict-record.ts';

/**
 * What is counted of records; what is open is asked of the database at each scrape, because it outlives every
 * process.
 */
export function recordMetrics(
  metrics: Metrics,
  database: Database,
): (added: readonly DetectedConflict[]) => void {
  const records = metrics.counter('sync_conflict_records_total', 'ConflictRecords stored.', [
    'policy',
    'status',
  ]);
  const readOpen = async (): Promise<{ open: number; oldest: number }> => {
    const [row] = await database.call<{ open: number; oldest: number }>(
      'open_conflicts',
      `SELECT (SELECT count(*)::int4 FROM open_conflict) AS open,
              coalesce(extract(epoch FROM now() - (SELECT min(opened_at) FROM open_conflict)), 0)::float8 AS oldest`,
      [],
    );
    return row ?? { open: 0, oldest: 0 };
  };
  metrics.gauge(
    'sync_conflicts_open',
    'ConflictRecords that wait for a person, all tenants.',
    [],
    async (gauge) => gauge.set((await readOpen()).open),
  );
  metrics.gauge(
    'sync_conflicts_open_oldest_seconds',
    'Age of the ConflictRecord that has waited longest for a person.',
    [],
    async (gauge) => gauge.set((await readOpen()).oldest),
  );
  return (added) => {
    for (const { policy, status } of added) records.inc({ policy, status });
  };
}
