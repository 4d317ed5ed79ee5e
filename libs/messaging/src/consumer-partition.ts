import type { JsMsg } from '@nats-io/jetstream';
import type { BatchMessage, ConsumerContext } from './consumer-context.ts';
import { ConsumerLane, type BatchRoom, type Incoming } from './consumer-lane.ts';
import { readWatermarks, type InboxPlace } from './inbox-store.ts';
import type { Lease } from './lease.ts';
import { ACK_WAIT_MS, PartitionSession } from './partition-session.ts';
import type { PartitionToken } from './ports.ts';
import { decodeNumber } from './wire.ts';

/** Bounds of what waits in one partition, beside the client's own buffer. */
const WAITING = { messages: 128, bytes: 4_194_304 } as const;
const WORKING_MS = ACK_WAIT_MS / 4;
/**
 * A failing lane keeps this many messages when the partition is full; the rest comes again after the pause.
 */
const SHED = { keep: 16, pauseMs: 5_000 } as const;

/** What one lane brings into a transaction. */
export interface LaneWork {
  readonly partition: ConsumerPartition;
  readonly lane: ConsumerLane;
  readonly messages: readonly BatchMessage[];
}

/**
 * One leased partition of a consumer: reads it, and keeps what waits in it by lane, until the loop of the
 * consumer takes it up.
 */
export class ConsumerPartition {
  readonly token: PartitionToken;
  readonly lease: Lease;
  readonly #context: ConsumerContext;
  readonly #wake: () => void;
  readonly #lanes = new Map<string, ConsumerLane>();
  readonly #session: PartitionSession;
  readonly #inHand = new Set<Promise<void>>();
  #room: (() => void) | undefined;
  #working: NodeJS.Timeout | undefined;
  #stopped = false;

  /** @param wake called whenever there is something to do */
  constructor(context: ConsumerContext, token: PartitionToken, lease: Lease, wake: () => void) {
    this.#context = context;
    this.token = token;
    this.lease = lease;
    this.#wake = wake;
    this.#session = new PartitionSession(
      { ...context, partition: token },
      { accept: (message) => this.#accept(message) },
    );
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** The one that was served last comes last. */
  get lanes(): readonly ConsumerLane[] {
    return [...this.#lanes.values()];
  }

  /** Nothing more comes in, and no shared transaction is about to make room: waiting for company is vain. */
  get isStuck(): boolean {
    return !this.#hasRoom() && !this.lanes.some(({ inHand, comesAlone }) => inHand && !comesAlone);
  }

  /** Reads the watermarks, then the stream in the background. @throws the database's error */
  async start(): Promise<void> {
    for (const { producer, epoch, number } of await this.#readWatermarks()) {
      this.#lane(producer, epoch).watermark = number;
    }
    if (this.#stopped) return;
    this.#working = setInterval(() => this.#keepAlive(), WORKING_MS);
    this.#session.start();
  }

  /**
   * Waits for the transactions in hand. What waits is left unacknowledged; its next worker gets it by replay
   * at the latest.
   */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#working);
    this.#room?.();
    await Promise.all([this.#session.stop(), ...this.#inHand]);
  }

  /** {@link stop} waits for it. */
  hold(work: Promise<void>): void {
    this.#inHand.add(work);
    void work.then(() => this.#inHand.delete(work));
  }

  /** Takes note of a producer's last number. */
  noteHead(producer: string, epoch: string, number: number): void {
    const lane = this.#lane(producer, epoch);
    const { metrics, consumer, stream } = this.#context;
    const lag = Math.max(0, number - lane.watermark);
    metrics.consumerLag(consumer, stream.name, this.token, producer, lag);
    const verdict = lane.announce(number);
    if (verdict === 'ahead') {
      this.#askReplay(lane, 'the producer is ahead');
      this.#session.renew();
    } else if (verdict === 'rewound') {
      const fields = { stream: stream.name, partition: this.token, producer, epoch, number };
      // Its relay starts a new epoch when JetStream still shows it; when both were lost, an operator has to.
      this.#context.logger.error(
        { ...fields, watermark: lane.watermark },
        'a producer lost numbers it had given',
      );
    }
  }

  /**
   * The lane's next messages, as many as there is room for; they stay in the lane until {@link settle}. What
   * the watermark covers is acknowledged; a lane that lacks a number is going to be replayed.
   */
  nextWork(lane: ConsumerLane, room: BatchRoom): LaneWork | undefined {
    const { metrics, consumer, stream } = this.#context;
    const duplicates = lane.takeDuplicates();
    for (const { message } of duplicates) message.ack();
    if (duplicates.length > 0) {
      metrics.duplicates(consumer, stream.name, duplicates.length);
      this.#acceptMore();
    }
    const run = lane.nextRun(room);
    if (run.length > 0) return { partition: this, lane, messages: run.map(toBatchMessage) };
    if (lane.hasGap) this.#askReplay(lane, 'a number is missing');
    return undefined;
  }

  /** Acknowledges what has been committed. */
  settle({ lane, messages }: LaneWork): void {
    for (const { message } of lane.take(messages.length)) message.ack();
  }

  /** After a turn, whatever became of it: others of this partition come first, and there may be room again. */
  endTurn(lane: ConsumerLane): void {
    const key = laneKey(lane.producer, lane.epoch);
    this.#lanes.delete(key);
    if (lane.epoch !== null || lane.waiting.length > 0) this.#lanes.set(key, lane);
    this.#acceptMore();
  }

  /** Returns what a failing lane holds to the broker where it would hold back the other ones. */
  shed(lane: ConsumerLane): void {
    if (this.#hasRoom()) return;
    for (const { message } of lane.shed(SHED.keep)) message.nak(SHED.pauseMs);
  }

  /** What the database says of a lane whose watermark somebody else has moved. @throws the database's error */
  async reload(lane: ConsumerLane): Promise<void> {
    const rows = await this.#readWatermarks();
    const row = rows.find(({ producer, epoch }) => producer === lane.producer && epoch === lane.epoch);
    lane.watermark = row?.number ?? 0;
  }

  /** Where the watermark of a lane is; undefined for plain messages. */
  placeOf({ producer, epoch }: ConsumerLane): InboxPlace | undefined {
    const { consumer, stream } = this.#context;
    if (epoch === null || this.token === 'plain') return undefined;
    return { consumer, stream: stream.name, producer, partition: this.token, epoch };
  }

  #askReplay(lane: ConsumerLane, why: string): void {
    const { logger, metrics, consumer, stream } = this.#context;
    lane.replaying = true;
    metrics.gap(consumer, stream.name);
    const { producer, epoch, watermark, head } = lane;
    const next = lane.waiting[0]?.number ?? null;
    logger.info(
      { stream: stream.name, partition: this.token, producer, epoch, watermark, head, next, why },
      'replay',
    );
    this.#wake();
  }

  async #accept(message: JsMsg): Promise<void> {
    const numbered = this.token === 'plain' ? undefined : decodeNumber(message.subject, message.headers);
    const lane = this.#lane(
      numbered?.producer ?? this.#plainProducer(message.subject),
      numbered?.epoch ?? null,
    );
    const bytes = message.data.length;
    const { lingerMs } = this.#context;
    const receivedAt = performance.now();
    const dueAt = receivedAt + (typeof lingerMs === 'number' ? lingerMs : lingerMs(message.string()));
    lane.add({ number: numbered?.number ?? null, message, bytes, receivedAt, dueAt });
    this.#wake();
    while (!this.#stopped && !this.#hasRoom()) {
      await new Promise<void>((resolve) => {
        this.#room = resolve;
      });
      this.#room = undefined;
    }
  }

  #acceptMore(): void {
    if (this.#hasRoom()) this.#room?.();
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
    const prefix = `${this.#context.stream.subjectPrefix}.${this.token}.`;
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

  async #readWatermarks(): ReturnType<typeof readWatermarks> {
    if (this.token === 'plain') return [];
    const { database, consumer, stream } = this.#context;
    return readWatermarks(database, { consumer, stream: stream.name, partition: this.token });
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
