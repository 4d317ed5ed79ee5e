import type { Provider } from '@nestjs/common';
import { DocumentPool } from '@sync/documents/node';
import { untilAvailable } from '@sync/service-kit';
import type { DeviceKey } from './access/device-bindings.ts';
import { VerifyAgain } from './access/verify-again.ts';
import { AcceptAck } from './ack/accept-ack.ts';
import { AckController } from './ack/ack-controller.ts';
import { AckStore } from './ack/ack-store.ts';
import { AckCursors } from './ack/ack-cursors.ts';
import { ackMetrics } from './ack/ack-metrics.ts';
import { ResyncBudget } from './ack/resync-budget.ts';
import { CompactDocuments } from './compaction/compact-documents.ts';
import { ExchangeHints } from './heads/exchange-hints.ts';
import { GatewayMemory } from './heads/gateway-memory.ts';
import type { GatewayNews } from './heads/gateway-news.ts';
import { SweepChanges } from './heads/sweep-changes.ts';
import { ConsumeDeltas } from './ingest/consume-deltas.ts';
import { ingestMetrics } from './ingest/ingest-metrics.ts';
import { tombstonePruning } from './ingest/prune-tombstones.ts';
import { installLive } from './live/install-live.ts';
import { LiveSockets } from './live/live-sockets.ts';
import { TicketsController } from './live/tickets-controller.ts';
import { Tickets } from './live/tickets.ts';
import { CollectDeviceSeen } from './presence/collect-device-seen.ts';
import { RECORD_DEVICE_SEEN, type RecordDeviceSeen } from './presence/record-device-seen.ts';
import { readCursorSecret } from './pull/cursor-secret.ts';
import { CursorTokens } from './pull/cursor-token.ts';
import { PullController } from './pull/pull-controller.ts';
import { pullMetrics } from './pull/pull-metrics.ts';
import { PullScopes } from './pull/pull-scopes.ts';
import { SendDifferences } from './pull/send-differences.ts';
import { WaitingPulls } from './pull/waiting-pulls.ts';
import type { WiredAccess } from './wire-access.ts';
import type { Foundation, Wired } from './wire-foundation.ts';

export interface WiredReading extends Wired {
  readonly news: GatewayNews;
  readonly deviceSeen: RecordDeviceSeen;
}

/** Full resyncs after digest mismatches that one replica asks for in a minute. */
const RESYNCS = { ownPerMinute: 6, commonPerMinute: 54 };

/**
 * Everything that devices read, and what feeds it: pull, ack, live, ingest, and the memory that makes an
 * empty pull free.
 */
export async function wireReading(foundation: Foundation, access: WiredAccess): Promise<WiredReading> {
  const { config, database, nats, metrics, hopMetrics, logger } = foundation;
  const telling = wireTelling(foundation, access);
  const { hints, sweep, waiting, sockets, deviceSeen } = telling;
  // Two threads, started when they are first needed: a large compaction must not hold up pulls.
  const pools = {
    compacting: new DocumentPool({ heapMb: 128 }),
    comparing: new DocumentPool({ heapMb: 128, timeoutMs: 2_000 }),
  };
  const compact = wireCompaction(foundation, pools.compacting);
  const consume = new ConsumeDeltas({
    ...{ database, nats, news: hints, metrics: { ...ingestMetrics(metrics), hop: hopMetrics }, logger },
    onDue: (address) => compact.due(address),
  });
  const prune = tombstonePruning({ database, logger, days: config.tombstoneDays });
  return {
    news: hints,
    deviceSeen,
    controllers: [PullController, AckController, TicketsController],
    providers: await readingProviders(foundation, telling, pools.comparing),
    prepare: (app) => installLive(app, sockets, access.connections),
    start: async () => {
      hints.start();
      await sweep.start();
      for (const part of [consume, prune, compact, sockets, deviceSeen]) part.start();
    },
    drainStart: () => {
      waiting.drain();
      sockets.drain();
      telling.verifyAgain.stop();
    },
    drain: async () => {
      hints.stop();
      // Side by side: one that waits for a silent Postgres must not keep the others going.
      await Promise.all([consume, prune, compact, sweep, deviceSeen].map((part) => part.stop()));
      await Promise.all([pools.compacting.close(), pools.comparing.close()]);
    },
  };
}

/** What puts increments of documents together. */
function wireCompaction({ database, metrics, logger }: Foundation, pool: DocumentPool): CompactDocuments {
  const results = metrics.counter(
    'sync_document_compactions_total',
    'Documents of the read model whose increments were put together.',
    ['result'],
  );
  return new CompactDocuments({
    ...{ database, pool, logger },
    onResult: (result) => results.inc({ result }),
  });
}

/**
 * Who is to be told what: the memory, waiting pulls and sockets, by hints, by the sweep and by revocations.
 */
interface Telling {
  readonly hints: ExchangeHints;
  readonly memory: GatewayMemory;
  readonly waiting: WaitingPulls;
  readonly tickets: Tickets;
  readonly sockets: LiveSockets;
  readonly verifyAgain: VerifyAgain;
  readonly deviceSeen: CollectDeviceSeen;
  readonly sweep: SweepChanges;
}

function wireTelling(
  { config, database, requestDatabase, nats, relay, metrics, logger }: Foundation,
  access: WiredAccess,
): Telling {
  const hints = new ExchangeHints(nats, logger);
  const memory = new GatewayMemory();
  const waiting = new WaitingPulls(config.maxWaitingPulls);
  const tickets = new Tickets(requestDatabase);
  const deviceSeen: CollectDeviceSeen = new CollectDeviceSeen({
    database,
    logger,
    isConnected: (device): boolean => waiting.has(device) || sockets.isConnected(device),
    onEvents: () => relay.kick(),
  });
  const slowSockets = metrics.counter(
    'sync_slow_sockets_total',
    'Sockets closed because their clients do not read.',
  );
  const sockets: LiveSockets = new LiveSockets({
    ...{ tickets, bindings: access.bindings, database: requestDatabase, deviceSeen, logger },
    maxSockets: config.maxSockets,
    onSlow: () => slowSockets.inc(),
  });
  metrics.gauge('sync_live_sockets', 'Open live sockets.', [], (gauge) => gauge.set(sockets.size));
  const sweep = new SweepChanges({
    ...{ database: requestDatabase, memory, hints, logger },
    listeners: { tenants: () => sockets.tenants(), any: () => sockets.size > 0 || waiting.size > 0 },
    afterSweep: (looked) => {
      sockets.passedOver(looked);
      waiting.look();
    },
  });
  hints.listen((news) => {
    memory.forget(news, performance.now());
    for (const ingest of news.ingests ?? []) sweep.noteIngest(ingest);
    waiting.notice(news);
    sockets.notice(news);
  });
  const endAll = (device: DeviceKey, why: 'revoked' | 'unbound'): void => {
    waiting.end(device, why);
    sockets.revoke(device);
  };
  const verifyAgain = new VerifyAgain(access.bindings, (device, status) => {
    endAll(device, status === 'revoked' ? 'revoked' : 'unbound');
  });
  access.revocations.listen({
    revoked: (device) => endAll(device, 'revoked'),
    mayHaveMissed: () => void verifyAgain.verify([...waiting.devices(), ...sockets.devices()]),
  });
  return { hints, memory, waiting, tickets, sockets, verifyAgain, deviceSeen, sweep };
}

/** What the controllers get. */
async function readingProviders(
  foundation: Foundation,
  telling: Telling,
  pool: DocumentPool,
): Promise<Provider[]> {
  const { config, requestDatabase: database, relay, metrics } = foundation;
  const { memory, waiting, hints, tickets, deviceSeen } = telling;
  const tokens = new CursorTokens(await cursorSecret(foundation));
  const pullScopes = new PullScopes({
    ...{ database, memory, waiting, tokens },
    metrics: pullMetrics(metrics, waiting, memory),
    differences: wireDifferences(foundation, pool),
    // The rest is for pushes and acks, whatever number of pulls wakes up at once.
    maxReads: Math.max(1, Math.ceil(config.databasePoolSize * 0.6)),
  });
  const ackCursors = new AckCursors({
    store: new AckStore(database),
    news: hints,
    budget: new ResyncBudget(RESYNCS, performance.now()),
    metrics: ackMetrics(metrics),
    onEvents: () => relay.kick(),
  });
  return [
    { provide: PullScopes, useValue: pullScopes },
    { provide: AcceptAck, useValue: new AcceptAck(tokens, ackCursors) },
    { provide: CursorTokens, useValue: tokens },
    { provide: Tickets, useValue: tickets },
    { provide: RECORD_DEVICE_SEEN, useValue: deviceSeen },
  ];
}

function wireDifferences({ metrics }: Foundation, pool: DocumentPool): SendDifferences {
  const saved = metrics.counter(
    'sync_document_difference_saved_bytes_total',
    'What answers became shorter by differences of documents.',
  );
  return new SendDifferences(pool, (bytes) => saved.inc(bytes));
}

/** The configured one, or the one in the database. */
function cursorSecret({ config, database, keys, logger }: Foundation): Promise<string> {
  if (config.cursorSecret !== '') return Promise.resolve(config.cursorSecret);
  return untilAvailable(config, logger, () => readCursorSecret(database, keys));
}
