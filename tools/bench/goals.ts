import type { Goal, OperationResult } from './result.ts';

type Figure = (one: OperationResult) => number | null | undefined;

const p50: Figure = (one) => one.p50Ms;
const p95: Figure = (one) => one.p95Ms;
const p99: Figure = (one) => one.p99Ms;
const rate: Figure = (one) => one.perSecond;
const ratio: Figure = (one) => one.ratioP50;
const cpu: Figure = (one) => one.cpuMs;
/** One that stands beside the row. */
const beside = (name: string): Figure => {
  return (one) => one.extra?.[name];
};

/** What is measured, of which operation with how many clients, and its limit. */
type GoalRow = readonly [
  text: string,
  operation: string,
  clients: number,
  figure: Figure,
  limit: '≤' | '≥',
  value: number,
  unit: string,
];

/** For two cores with everything on one machine and fsync on. */
const GOALS: readonly GoalRow[] = [
  ['idle platform, CPU a second', 'idle', 0, cpu, '≤', 30, 'ms'],
  ['push of one, 1 client, CPU', 'push-1', 1, cpu, '≤', 5, 'ms'],
  ['push of one, 16 clients, CPU', 'push-1', 16, cpu, '≤', 2.5, 'ms'],
  ['push of one, 64 clients, CPU', 'push-1', 64, cpu, '≤', 1.5, 'ms'],
  ['push of one, 1 client, p50', 'push-1', 1, p50, '≤', 6, 'ms'],
  ['push of one, 16 clients, p50', 'push-1', 16, p50, '≤', 25, 'ms'],
  ['push of one, 16 clients', 'push-1', 16, rate, '≥', 600, 'a second'],
  ['push of 100, 1 client, CPU', 'push-100', 1, cpu, '≤', 25, 'ms'],
  ['push of 100, 16 clients, CPU', 'push-100', 16, cpu, '≤', 25, 'ms'],
  ['push of 100, 1 client, p50', 'push-100', 1, ratio, '≤', 3.5, '× floor'],
  ['push of 100, 1 client, p95', 'push-100', 1, p95, '≤', 35, 'ms'],
  ['push of 100, 16 clients, p50', 'push-100', 16, ratio, '≤', 5, '× floor'],
  ['push of 100, 16 clients', 'push-100', 16, rate, '≥', 80, 'a second'],
  ['projection after that, behind by', 'push-100', 16, beside('projectionCatchUpMs'), '≤', 500, 'ms'],
  [
    'push of one, 16 clients, aged, CPU',
    'push-1-aged',
    16,
    beside('cpuRatio'),
    '≤',
    1.2,
    '× empty databases',
  ],
  ['push of 100, 1 client, aged, CPU', 'push-100-aged', 1, beside('cpuRatio'), '≤', 1.2, '× empty databases'],
  [
    'push of 100, 16 clients, aged, CPU',
    'push-100-aged',
    16,
    beside('cpuRatio'),
    '≤',
    1.2,
    '× empty databases',
  ],
  ['check of a push of 20 with tags, CPU', 'push-check-20', 1, cpu, '≤', 0.3, 'ms'],
  ['push with 10 % conflicts, p50', 'push-100-conflicts', 1, ratio, '≤', 1.3, '× the clean push'],
  ['500 small events a second', 'small-events', 4, beside('cores'), '≤', 0.5, 'cores'],
  ['write to visible at 500 events a second, p50', 'write-visible', 1, p50, '≤', 15, 'ms'],
  ['write to visible at 500 events a second, p99', 'write-visible', 1, p99, '≤', 60, 'ms'],
  ['projection', 'projection', 1, beside('eventsPerSecond'), '≥', 20_000, 'events a second'],
  ['pull of 500, 1 client, p50', 'pull-500', 1, ratio, '≤', 1.5, '× floor'],
  ['pull of 500, 16 clients', 'pull-500', 16, rate, '≥', 350, 'a second'],
  ['ack, 1 client, p50', 'ack', 1, ratio, '≤', 3, '× floor'],
  ['ack, 16 clients', 'ack', 16, rate, '≥', 2_500, 'a second'],
  ['empty pull, 1 client, p50', 'pull-empty', 1, ratio, '≤', 2, '× bare framework'],
  ['first sync of 50,000', 'first-sync-50k', 1, ratio, '≤', 1.1, '× floor'],
  ['decision of 1,000 conflicts, p50', 'decide-1000', 1, p50, '≤', 100, 'ms'],
  ['conflicts resolved without people', 'auto-resolution', 4, beside('autoResolvedPercent'), '≥', 99, '%'],
  ['mutations that need a person', 'auto-resolution', 4, beside('forPeoplePercent'), '≤', 1, '%'],
  ['p99 beside a hostile tenant', 'hostile-tenant', 1, beside('p99Ratio'), '≤', 1.5, '× quiet'],
  ['live socket, of 1,000', 'idle-sockets-1000', 1_000, beside('kibPerSocket'), '≤', 12, 'KiB'],
  ['live socket, of 10,000', 'idle-sockets-10000', 10_000, beside('kibPerSocket'), '≤', 12, 'KiB'],
  ['backups of documents', 'doc-backups', 2, beside('overheadPercent'), '≤', 10, '% of their log'],
  ['Yjs admission', 'yjs-admit-1000', 1, beside('admissionsPerSecond'), '≥', 100_000, 'a second on one core'],
  ['idle document', 'yjs-admit-1000', 1, beside('idleBytesPerDocument'), '≤', 1_024, 'bytes'],
  ['cold sync of 20,000 edits, p50', 'yjs-cold-sync', 1, p50, '≤', 5, 'ms'],
  ['merge of 1,000 offline updates, p50', 'yjs-merge-1000', 1, p50, '≤', 20, 'ms'],
  ['event loop during compaction, p99', 'yjs-compact-20k', 1, beside('loopP99Ms'), '≤', 20, 'ms'],
  ['50,000 rows written, SQLite', 'sqlite-write-50k', 1, ratio, '≤', 2, '× bare SQLite'],
  ['50,000 rows listed, SQLite', 'sqlite-list-50k', 1, ratio, '≤', 2, '× bare SQLite'],
  ['50,000 rows written, IndexedDB', 'indexeddb-write-50k', 1, ratio, '≤', 2, '× bare IndexedDB'],
  ['50,000 rows listed, IndexedDB', 'indexeddb-list-50k', 1, ratio, '≤', 2, '× bare IndexedDB'],
  ['first sync of a device, 50,000 entities', 'device-first-sync-50k', 1, ratio, '≤', 2, '× bare SQLite'],
  ['cold start of a device with 50,000', 'device-cold-start-50k', 1, p50, '≤', 300, 'ms'],
  ['local write visible, 50,000 held', 'device-write-visible', 1, p99, '≤', 1, 'ms'],
  ['CPU of a device for a mutation', 'device-queue-10k', 1, beside('cpuPerMutationMs'), '≤', 1, 'ms'],
  [
    'first sync of a device in a browser, 50,000 entities',
    'browser-device-first-sync-50k',
    1,
    ratio,
    '≤',
    2,
    '× bare IndexedDB',
  ],
  ['cold start in a browser with 50,000', 'browser-device-cold-start-50k', 1, p50, '≤', 300, 'ms'],
  ['local write visible in a browser, 50,000 held', 'browser-device-write-visible', 1, p99, '≤', 1, 'ms'],
  ['queued mutations pushed and applied', 'client-queue-10k', 1, ratio, '≤', 1.1, '× batches sent raw'],
  ['CPU of a client for each of them', 'client-queue-10k', 1, beside('cpuPerMutationMs'), '≤', 1, 'ms'],
  ['first sync of a client, 50,000', 'sync-sqlite-first-sync-50k', 1, ratio, '≤', 2, '× bare SQLite'],
  [
    'first sync of a client in a browser, 50,000',
    'sync-indexeddb-first-sync-50k',
    1,
    ratio,
    '≤',
    2,
    '× bare IndexedDB',
  ],
  ['its cold start, process by process', 'sync-sqlite-cold-start-50k', 1, p50, '≤', 300, 'ms'],
  ['its cold start in a browser, page by page', 'sync-indexeddb-cold-start-50k', 1, p50, '≤', 300, 'ms'],
  ['its write visible, 10,000 held', 'sync-sqlite-visible-10k', 1, p99, '≤', 1, 'ms'],
  ['its write visible in a browser, 10,000 held', 'sync-indexeddb-visible-10k', 1, p99, '≤', 1, 'ms'],
  ['an app on it, gzipped', 'sync-indexeddb-first-sync-50k', 1, beside('gzippedKb'), '≤', 40, 'kB'],
];

/** The project's goals, held against this run: those of which something was measured. */
export function checkGoals(operations: readonly OperationResult[]): Goal[] {
  return GOALS.flatMap(([text, name, clients, figure, limit, value, unit]) => {
    const measured = operations.filter((one) => one.name === name && one.clients === clients);
    return measured.flatMap((one) => {
      const found = figure(one);
      if (found === undefined || found === null) return [];
      const met = limit === '≤' ? found <= value : found >= value;
      return [
        { text: `${text} ${limit} ${value.toLocaleString('en')} ${unit}`, measured: found.toFixed(2), met },
      ];
    });
  });
}
