/** Knows when everything that was written for others has reached them: only then is all its CPU spent. */
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '@sync/e2e-device';
import { STREAMS, type StreamName } from '@sync/protocol';
import type { Observer } from './observer.ts';

const POLL_MS = 20;
const LIMIT_MS = 120_000;

/** What one database knows of the hop: what was numbered for others, and what was seen of theirs. */
interface Hop {
  readonly unnumbered: number;
  readonly heads: readonly Position[];
  readonly watermarks: readonly (Position & { readonly consumer: string })[];
}

interface Position {
  readonly stream: StreamName;
  readonly partition: number;
  readonly epoch: string;
  readonly number: number;
}

const HOP = `
  SELECT (SELECT count(*)::integer FROM sync_outbox WHERE number IS NULL AND stream = ANY ($1)) AS unnumbered,
    (SELECT coalesce(json_agg(h), '[]') FROM sync_outbox_head h WHERE stream = ANY ($1)) AS heads,
    (SELECT coalesce(json_agg(i), '[]') FROM sync_inbox i WHERE stream = ANY ($1)) AS watermarks`;

/**
 * Waits until every consumer has seen what was written for it in these streams.
 * @returns how long that took, in milliseconds
 * @throws Error that names who is behind after two minutes
 */
export async function untilDelivered(observer: Observer, streams: readonly StreamName[]): Promise<number> {
  const startedMs = performance.now();
  const databases = await databasesWithHop(observer);
  for (;;) {
    const hops = await Promise.all(databases.map((name) => observer.query<Hop>(name, HOP, [streams])));
    const behind = whoIsBehind(hops.flat());
    const tookMs = performance.now() - startedMs;
    if (behind === null) return tookMs;
    if (tookMs > LIMIT_MS) throw new Error(`${behind} after ${tookMs.toFixed(0)} ms`);
    await sleep(POLL_MS);
  }
}

/**
 * Waits until the projector has read the snapshot of every registered type, which it does once. Left to its
 * own time it fell into what was measured: an owner was asked for all that the warm-up had written.
 */
export async function untilSnapshotsAreRead(observer: Observer): Promise<void> {
  const types = async (database: string, text: string): Promise<string[]> =>
    (await observer.query<{ entity_type: string }>(database, text)).map((row) => row.entity_type);
  await until(
    'the projector has read every snapshot',
    async () => {
      const registered = await types('sync_gateway', 'SELECT entity_type FROM registration');
      const read = await types('delta_projector', 'SELECT entity_type FROM backfill_progress WHERE done');
      return registered.every((entityType) => read.includes(entityType));
    },
    { limitMs: LIMIT_MS, pauseMs: POLL_MS },
  );
}

async function databasesWithHop(observer: Observer): Promise<string[]> {
  const text = `SELECT 1 FROM pg_class WHERE oid = to_regclass('sync_inbox')`;
  const found = await Promise.all(
    observer.databases.map(async (name) => ((await observer.query(name, text)).length > 0 ? [name] : [])),
  );
  return found.flat();
}

function whoIsBehind(hops: readonly Hop[]): string | null {
  const keyOf = (consumer: string, { stream, partition, epoch }: Position): string =>
    [consumer, stream, partition, epoch].join(' ');
  const watermarks = new Map(
    hops.flatMap((hop) => hop.watermarks.map((one) => [keyOf(one.consumer, one), one.number] as const)),
  );
  if (hops.some(({ unnumbered }) => unnumbered > 0)) return 'messages wait for their relay';
  for (const head of hops.flatMap(({ heads }) => heads)) {
    for (const consumer of STREAMS[head.stream].consumers) {
      const at = watermarks.get(keyOf(consumer, head)) ?? 0;
      const where = `${head.stream} ${head.partition}`;
      if (at < head.number) return `${consumer} is at ${at} of ${head.number} in ${where}`;
    }
  }
  return null;
}
