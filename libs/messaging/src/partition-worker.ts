import type { JsMsg } from '@nats-io/jetstream';
import { BATCH, ConsumerLane, type Incoming } from './consumer-lane.ts';
import type { BatchMessage, ConsumerContext } from './consumer-context.ts';
import { beginBatch, readWatermarks, WatermarkMovedError, type InboxPlace } from './inbox-store.ts';
import { LeaseLostError, type Lease } from './lease.ts';
import { faultPoint } from './fault-injection.ts';
import { backoffMs, Wakeup } from './pacing.ts';
import { ACK_WAIT_MS, PartitionSession } from './partition-session.ts';
import type { PartitionToken } from './ports.ts';
import { requestReplay } from './replay-client.ts';
import { decodeNumber, type ReplayPage } from './wire.ts';

/** Bounds of what waits in one partition, beside the client's own buffer. */
const WAITING = { messages: 128, bytes: 4_194_304 } as const;
const RETRY_BACKOFF = { baseMs: 100, capMs: 10_000 } as const;
const WORKING_MS = ACK_WAIT_MS / 4;
const IDLE_MS = 60_000;
/**
 * A failing lane keeps this many messages when the partition is full; the rest comes again after the pause.
 */
const SHED = { keep: 16, pauseMs: 5_000 } as const;

/** Consumes one leased partition: one loop, one transaction at a time. */
export class PartitionWorker {
  readonly #context: ConsumerContext;
  readonly #partition: PartitionToken;
  readonly #lease: Lease;
  readonly #lanes = new Map<string, ConsumerLane>();
  readonly #session: PartitionSession;
  readonly #wakeup = new Wakeup();
  #room: (() => void) | undefined;
  #working: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(context: ConsumerContext, partition: PartitionToken, lease: Lease) {
    this.#context = context;
    this.#partition = partition;
    this.#lease = lease;
    this.#session = new PartitionSession(
      { ...context, partition },
      { accept: (message) => this.#accept(message) },
    );
  }

  /** Reads the watermarks, then consumes in the background. @throws the database's error */
  async start(): Promise<void> {
    await this.#loadWatermarks();
    if (this.#stopped) return;
    this.#working = setInterval(() => this.#keepAlive(), WORKING_MS);
    this.#session.start();
    this.#running = this.#run();
  }

  /**
   * Finishes the batch in hand. What waits is left unacknowledged; its next worker gets it by replay at the
   * latest.
   */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#working);
    this.#room?.();
    this.#wakeup.wake();
    await Promise.all([this.#session.stop(), this.#running]);
  }

  /** Takes note of a producer's last number. */
  noteHead(producer: string, epoch: string, number: number): void {
    const lane = this.#lane(producer, epoch);
    const { metrics, consumer, stream } = this.#context;
    const lag = Math.max(0, number - lane.watermark);
    metrics.consumerLag(consumer, stream.name, this.#partition, producer, lag);
    const verdict = lane.announce(number);
    if (verdict === 'ahead') {
      this.#askReplay(lane, 'the producer is ahead');
      this.#wakeup.wake();
    } else if (verdict === 'rewound') {
      const fields = { stream: stream.name, partition: this.#partition, producer, epoch, number };
      // Its relay starts a new epoch when JetStream still shows it; when both were lost, an operator has to.
      this.#context.logger.error(
        { ...fields, watermark: lane.watermark },
        'a producer lost numbers it had given',
      );
    }
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const now = performance.now();
      const lane = this.#nextLane(now);
      if (lane === undefined) {
        await this.#wakeup.sleep(this.#pauseMs(now));
      } else {
        await this.#advance(lane);
      }
    }
  }

  /** Lanes take turns: the one that was served goes to the end of the map. */
  #nextLane(now: number): ConsumerLane | undefined {
    for (const [key, lane] of this.#lanes) {
      if (lane.readyAt(this.#context.lingerMs) > now) continue;
      this.#lanes.delete(key);
      this.#lanes.set(key, lane);
      return lane;
    }
    return undefined;
  }

  #pauseMs(now: number): number {
    const due = [...this.#lanes.values()].map((lane) => lane.readyAt(this.#context.lingerMs) - now);
    return Math.ceil(Math.max(0, Math.min(IDLE_MS, ...due)));
  }

  async #advance(lane: ConsumerLane): Promise<void> {
    try {
      await (lane.replaying ? this.#replay(lane) : this.#process(lane));
      lane.attempts = 0;
      if (lane.epoch === null && lane.waiting.length === 0) this.#lanes.delete(laneKey(lane.producer, null));
    } catch (error) {
      await this.#postpone(lane, error);
    }
    if (this.#hasRoom()) this.#room?.();
  }

  async #process(lane: ConsumerLane): Promise<void> {
    const { metrics, consumer, stream } = this.#context;
    const duplicates = lane.takeDuplicates();
    for (const { message } of duplicates) message.ack();
    if (duplicates.length > 0) metrics.duplicates(consumer, stream.name, duplicates.length);
    const run = lane.nextRun();
    if (run.length === 0) {
      if (lane.waiting.length > 0) this.#askReplay(lane, 'a number is missing');
      return;
    }
    await this.#commit(lane, run.map(toBatchMessage));
    for (const { message } of lane.take(run.length)) message.ack();
  }

  /** Effects and watermark in one transaction. */
  async #commit(lane: ConsumerLane, messages: readonly BatchMessage[]): Promise<void> {
    const { database, handle, tenantsOf, afterCommit, metrics, consumer, stream } = this.#context;
    const { producer, epoch } = lane;
    const batch = { stream: stream.name, partition: this.#partition, producer, epoch, messages };
    const tenants = tenantsOf?.(batch);
    const number = messages.at(-1)?.number ?? null;
    const place = this.#place(lane);
    const advance =
      place === undefined || number === null ? undefined : { ...place, expected: lane.watermark, number };
    await database.transaction(async (tx) => {
      await beginBatch(tx, this.#lease, advance, tenants);
      await handle(tx, batch, this.#lease);
      faultPoint('batch.handled');
    });
    faultPoint('batch.committed');
    if (number !== null) lane.watermark = number;
    afterCommit?.(batch);
    metrics.consumed(consumer, stream.name, this.#partition, messages.length);
  }

  async #replay(lane: ConsumerLane): Promise<void> {
    const place = this.#place(lane);
    if (place === undefined) return;
    const { nats, metrics, consumer, stream } = this.#context;
    const page = await requestReplay(nats, lane.producer, { ...place, after: lane.watermark });
    if (page.epoch !== lane.epoch) return this.#leaveEpoch(lane, page);
    if (page.pruned) await this.#skipPruned(lane, page.first);
    let replayed = 0;
    for (const run of runsAfter(lane.watermark, page)) {
      if (this.#stopped) return;
      await this.#commit(lane, run);
      replayed += run.length;
    }
    metrics.replayed(consumer, stream.name, replayed);
    const next = lane.waiting[0]?.number ?? Infinity;
    lane.replaying = lane.watermark < page.last && next > lane.watermark + 1;
    if (replayed === 0 && !page.pruned && Number.isFinite(next) && next > lane.watermark + 1) {
      throw new Error(
        `${lane.producer} does not know number ${lane.watermark + 1} that it must have published`,
      );
    }
  }

  /**
   * The producer has another epoch now: what is missing of the old one is lost for good, which is the same as
   * pruned.
   */
  async #leaveEpoch(lane: ConsumerLane, page: ReplayPage): Promise<void> {
    if (page.epoch === '') throw new Error(`${lane.producer} has not opened this partition yet`);
    const next = lane.waiting[0]?.number;
    if (typeof next === 'number' && next > lane.watermark + 1) await this.#skipPruned(lane, next);
    lane.replaying = false;
  }

  async #skipPruned(lane: ConsumerLane, oldest: number): Promise<void> {
    const { onPruned, database, logger, stream } = this.#context;
    const place = this.#place(lane);
    if (place === undefined) return;
    const { producer, partition, epoch } = place;
    logger.warn(
      { stream: stream.name, producer, partition, epoch, oldest },
      'messages are past retention, rebuilding',
    );
    await onPruned({ stream: stream.name, producer, partition, epoch, oldest });
    const advance = { ...place, expected: lane.watermark, number: oldest - 1 };
    await database.transaction((tx) => beginBatch(tx, this.#lease, advance, undefined));
    lane.watermark = oldest - 1;
  }

  async #postpone(lane: ConsumerLane, error: unknown): Promise<void> {
    const { logger, metrics, consumer, stream } = this.#context;
    lane.attempts += 1;
    lane.retryAt = performance.now() + backoffMs(lane.attempts, RETRY_BACKOFF);
    const fields = { stream: stream.name, partition: this.#partition, producer: lane.producer };
    if (error instanceof WatermarkMovedError || error instanceof LeaseLostError) {
      logger.warn({ ...fields, err: error }, 'another worker was faster, nothing was written');
      await this.#loadWatermarks().catch(() => undefined);
      return;
    }
    metrics.retried(consumer, stream.name);
    logger.warn({ ...fields, err: error, attempts: lane.attempts }, 'batch failed, will try again');
    if (this.#hasRoom()) return;
    for (const { message } of lane.shed(SHED.keep)) message.nak(SHED.pauseMs);
  }

  #askReplay(lane: ConsumerLane, why: string): void {
    const { logger, metrics, consumer, stream } = this.#context;
    lane.replaying = true;
    metrics.gap(consumer, stream.name);
    const { producer, epoch, watermark, head } = lane;
    const next = lane.waiting[0]?.number ?? null;
    logger.info(
      { stream: stream.name, partition: this.#partition, producer, epoch, watermark, head, next, why },
      'replay',
    );
  }

  async #accept(message: JsMsg): Promise<void> {
    const numbered = this.#partition === 'plain' ? undefined : decodeNumber(message.subject, message.headers);
    const lane = this.#lane(
      numbered?.producer ?? this.#plainProducer(message.subject),
      numbered?.epoch ?? null,
    );
    const bytes = message.data.length;
    lane.add({ number: numbered?.number ?? null, message, bytes, receivedAt: performance.now() });
    this.#wakeup.wake();
    while (!this.#stopped && !this.#hasRoom()) {
      await new Promise<void>((resolve) => {
        this.#room = resolve;
      });
      this.#room = undefined;
    }
  }

  #hasRoom(): boolean {
    let messages = 0;
    let bytes = 0;
    for (const { waiting } of this.#lanes.values()) {
      messages += waiting.length;
      for (const incoming of waiting) bytes += incoming.bytes;
    }
    return messages < WAITING.messages && bytes < WAITING.bytes;
  }

  /** First token after the partition: the service that published a plain message. */
  #plainProducer(subject: string): string {
    const prefix = `${this.#context.stream.subjectPrefix}.${this.#partition}.`;
    return subject.slice(prefix.length).split('.', 1)[0] ?? '';
  }

  #lane(producer: string, epoch: string | null): ConsumerLane {
    const key = laneKey(producer, epoch);
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      lane = new ConsumerLane(producer, epoch, 0);
      this.#lanes.set(key, lane);
    }
    return lane;
  }

  #place(lane: ConsumerLane): InboxPlace | undefined {
    const { consumer, stream } = this.#context;
    if (lane.epoch === null || this.#partition === 'plain') return undefined;
    const { producer, epoch } = lane;
    return { consumer, stream: stream.name, producer, partition: this.#partition, epoch };
  }

  async #loadWatermarks(): Promise<void> {
    if (this.#partition === 'plain') return;
    const { database, consumer, stream } = this.#context;
    const place = { consumer, stream: stream.name, partition: this.#partition };
    for (const { producer, epoch, number } of await readWatermarks(database, place)) {
      this.#lane(producer, epoch).watermark = number;
    }
  }

  /** Tells the broker about everything that has waited for a while, so that it does not send it again. */
  #keepAlive(): void {
    const since = performance.now() - WORKING_MS;
    for (const { waiting } of this.#lanes.values()) {
      for (const { message, receivedAt } of waiting) if (receivedAt < since) message.working();
    }
  }
}

function laneKey(producer: string, epoch: string | null): string {
  return epoch === null ? `plain ${producer}` : `${producer} ${epoch}`;
}

function toBatchMessage({ number, message }: Incoming): BatchMessage {
  const plain = { number, subject: message.subject, payload: message.string() };
  if (number !== null || message.headers === undefined) return plain;
  return {
    ...plain,
    headers: Object.fromEntries(message.headers.keys().map((key) => [key, message.headers?.get(key) ?? ''])),
  };
}

/** The page's messages after the watermark as batches. @throws Error when one is missing */
function runsAfter(watermark: number, page: ReplayPage): BatchMessage[][] {
  const runs: BatchMessage[][] = [];
  let expected = watermark + 1;
  let bytes = 0;
  for (const { number, payload } of page.messages) {
    if (number < expected) continue;
    if (number !== expected) throw new Error(`Replay skips number ${expected}`);
    expected += 1;
    const run = runs.at(-1);
    bytes += payload.length;
    if (run === undefined || run.length >= BATCH.messages || bytes > BATCH.bytes) {
      runs.push([{ number, payload, subject: '' }]);
      bytes = payload.length;
    } else {
      run.push({ number, payload, subject: '' });
    }
  }
  return runs;
}
