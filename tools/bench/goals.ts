import type { Goal, OperationResult } from './result.ts';

/** The project's goals for two cores with everything on one machine and fsync on, held against this run. */
export function checkGoals(operations: readonly OperationResult[]): Goal[] {
  const find = (name: string, clients?: number): OperationResult | undefined =>
    operations.find((one) => one.name === name && (clients === undefined || one.clients === clients));
  const goals: Goal[] = [];
  const add = (
    text: string,
    value: number | undefined,
    limit: number,
    unit: string,
    atLeast = false,
  ): void => {
    if (value === undefined) return;
    const met = atLeast ? value >= limit : value <= limit;
    goals.push({ text, measured: `${value.toFixed(2)}${unit}`, met });
  };
  add('push p50 ≤ 4 × floor, 1 client', find('push-100', 1)?.ratioP50, 4, ' ×');
  add('push p95 ≤ 60 ms, 1 client', find('push-100', 1)?.p95Ms, 60, ' ms');
  add('push ≥ 50 batches/s, 16 clients', find('push-100', 16)?.perSecond, 50, '/s', true);
  add(
    'projection catches up after that within 2 s',
    find('push-100', 16)?.extra?.['projectionCatchUpMs'],
    2_000,
    ' ms',
  );
  add('push with 10 % conflicts p50 ≤ 2 × the clean push', find('push-100-conflicts')?.ratioP50, 2, ' ×');
  add('pull p50 ≤ 1.5 × floor, 1 client', find('pull-500', 1)?.ratioP50, 1.5, ' ×');
  add('pull ≥ 250/s, 16 clients', find('pull-500', 16)?.perSecond, 250, '/s', true);
  add('ack p50 ≤ 3 × floor, 1 client', find('ack', 1)?.ratioP50, 3, ' ×');
  add('empty pull p50 ≤ 2 × bare framework, 1 client', find('pull-empty', 1)?.ratioP50, 2, ' ×');
  add('decision of 1,000 conflicts p50 ≤ 100 ms', find('decide-1000')?.p50Ms, 100, ' ms');
  const resolved = find('auto-resolution')?.extra;
  add('auto-resolution ≥ 99 %', resolved?.['autoResolvedPercent'], 99, ' %', true);
  add('conflict rate < 1 %: mutations that need a person', resolved?.['forPeoplePercent'], 1, ' %');
  add('write→visible p99 ≤ 250 ms at 500 events/s', find('write-visible')?.p99Ms, 250, ' ms');
  add('projection ≥ 5,000 events/s', find('projection')?.extra?.['eventsPerSecond'], 5_000, '/s', true);
  add('first sync of 50,000 ≤ 10 s', find('first-sync-50k')?.p50Ms, 10_000, ' ms');
  for (const name of ['idle-sockets-1000', 'idle-sockets-10000']) {
    add(`${name} ≤ 12 KiB each`, find(name)?.extra?.['kibPerSocket'], 12, ' KiB');
  }
  add('backups of documents ≤ 10 % of their log', find('doc-backups')?.extra?.['overheadPercent'], 10, ' %');
  const admission = find('yjs-admit-1000')?.extra;
  add('Yjs admission ≥ 100,000/s on one core', admission?.['admissionsPerSecond'], 100_000, '/s', true);
  add('idle document ≤ 1 KiB', admission?.['idleBytesPerDocument'], 1_024, ' bytes');
  add('cold sync of 20,000 edits ≤ 5 ms', find('yjs-cold-sync')?.p50Ms, 5, ' ms');
  add('merge of 1,000 offline updates ≤ 20 ms', find('yjs-merge-1000')?.p50Ms, 20, ' ms');
  add('event loop p99 ≤ 20 ms during compaction', find('yjs-compact-20k')?.extra?.['loopP99Ms'], 20, ' ms');
  return goals;
}
